"""Annotations of a GitHub workflow: `::error file=model.py,line=7,title=gradcheck (GC101 vanishing-gradient)::message`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gradcheck_cli.records import SEVERITIES, Failure, Scan
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.results import Result, failure_site, lines_for, results, why

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(scans: Sequence[Scan], look: Look) -> str:
    """Render what counts of all targets, gravest first: GitHub shows about ten annotations of a kind and drops the rest."""
    ranked = [pair for scan in scans for pair in _commands(scan, look)]
    return lines_for(look, [command for _, command in sorted(ranked, key=lambda pair: pair[0])])


def _commands(scan: Scan, look: Look) -> Iterator[tuple[int, str]]:
    if scan.error is not None:
        yield -1, _no_verdict(scan, scan.error, look)
    for result in results(scan):
        if result.suppressed is None:
            yield SEVERITIES.index(result.finding.severity), _annotation(result, look)


def _annotation(result: Result, look: Look) -> str:
    finding, site = result.finding, result.site
    place = {"file": look.from_root(site.file), "line": str(site.line)}
    title = f"gradcheck ({finding.code} {finding.name}".rstrip() + ")"
    lines = [result.message + result.remark, *([result.cure] if result.cure else [])]
    return command(_COMMANDS[finding.severity], {**place, "title": title}, lines)


def _no_verdict(scan: Scan, failure: Failure, look: Look) -> str:
    site = failure_site(scan)
    place = {"file": look.from_root(site.file), "line": str(site.line)} if site else {}
    lines = [f"no verdict: {why(failure)}"]
    return command("error", {**place, "title": f"gradcheck ({failure.id})"}, lines)


def command(name: str, properties: Mapping[str, str], lines: Sequence[str]) -> str:
    """Write one workflow command. No text can end it, begin another one, or set a property."""
    told = ",".join(f"{key}={escaped_property(clean(value))}" for key, value in properties.items())
    message = "\n".join(map(clean, lines))
    return f"::{name} {told}::{escaped_data(message)}"


def escaped_data(text: str) -> str:
    """Escape what the runner unescapes in the message of a command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(text: str) -> str:
    """Escape what the runner unescapes in a property of a command, which a comma ends."""
    return escaped_data(text).replace(":", "%3A").replace(",", "%2C")
