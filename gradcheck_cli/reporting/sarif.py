"""SARIF 2.1.0 with all that GitHub code scanning asks for: one run a target, no times, no absolute paths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gradcheck_cli import __version__
from gradcheck_cli.records import Failure, Finding, Rule, Scan, SourceSite, Suppressed, to_dict
from gradcheck_cli.reporting.base import Look, RulePage
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.json import dump
from gradcheck_cli.reporting.results import Result, failure_site, known_by, name_of, results, told_apart, why
from gradcheck_cli.reporting.sarif_rules import LONGEST, descriptor, fitted

MOST = 25_000  # results in a run; GitHub refuses a run with more
_ROOT = "%SRCROOT%"
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(scans: Sequence[Scan], look: Look) -> str:
    """Render every finding, the accepted ones as suppressed. A target without a verdict is a run that has failed.

    GitHub takes 20 runs a file, and of each run the 5,000 gravest results. It reads no suppressions: what is accepted is
    an open alert there unless another step dismisses it.
    """
    # Two runs of one category would replace each other.
    names = told_apart(f"gradcheck/{clean(name_of(scan.target, look))}".rstrip("/") for scan in scans)
    runs = [_run(scan, name, look) for scan, name in zip(scans, names, strict=True)]
    return dump({"$schema": _SCHEMA, "version": "2.1.0", "runs": runs})


def _run(scan: Scan, name: str, look: Look) -> Mapping[str, Any]:
    found = results(scan)
    pages = _pages(found, look)
    order = {page.rule.code: number for number, page in enumerate(pages)}
    version = scan.report.tool_version if scan.report else __version__
    driver = {"name": "gradcheck", "version": version, "semanticVersion": version, "rules": [*map(descriptor, pages)]}
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"{name}/"},
        "invocations": [_invocation(scan, len(found), look)],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the project."}}},
        "columnKind": "unicodeCodePoints",
        "results": _results(found[:MOST], order, look),
    }


def _pages(found: Sequence[Result], look: Look) -> list[RulePage]:
    """Return every rule with its page, and one made of a finding where its rule is not known."""
    known = {page.rule.code for page in look.rules}
    strange = {r.finding.code: r.finding for r in found if r.finding.code not in known}
    return [*look.rules, *(RulePage(rule=_stand_in(finding), page="") for finding in strange.values())]


def _stand_in(finding: Finding) -> Rule:
    name = clean(finding.name or finding.code)
    return Rule(code=finding.code, name=name, summary=name, severity=finding.severity)


def _invocation(scan: Scan, count: int, look: Look) -> Mapping[str, Any]:
    if scan.error is not None:
        return {"executionSuccessful": False, "toolExecutionNotifications": [_no_verdict(scan, scan.error, look)]}
    if count > MOST:
        left = {"level": "warning", "message": {"text": f"{count - MOST} further results are left out: a run holds {MOST}."}}
        return {"executionSuccessful": True, "toolExecutionNotifications": [left]}
    return {"executionSuccessful": True}


def _no_verdict(scan: Scan, failure: Failure, look: Look) -> Mapping[str, Any]:
    site = failure_site(scan)
    return {
        "descriptor": {"id": clean(failure.id)},
        "level": "error",
        "message": {"text": fitted(clean(why(failure)))},
        "locations": [{"physicalLocation": _physical(site, look)}] if site else [],
    }


def _results(found: Sequence[Result], order: Mapping[str, int], look: Look) -> list[Mapping[str, Any]]:
    counts = Counter[str]()
    listed: list[Mapping[str, Any]] = []
    for result in found:
        known = known_by(result, look)
        counts[known] += 1
        prints = {"gradcheckFingerprint/v1": known, "primaryLocationLineHash": f"{known}:{counts[known]}"}
        listed.append({**_result(result, order, look), "partialFingerprints": prints})
    return listed


def _result(result: Result, order: Mapping[str, int], look: Look) -> dict[str, Any]:
    finding, accepted = result.finding, result.suppressed
    location: dict[str, Any] = {"physicalLocation": _physical(result.site, look)}
    if finding.layer:
        location["logicalLocations"] = [{"fullyQualifiedName": clean(finding.layer), "kind": "module"}]
    return {
        "ruleId": finding.code,
        "ruleIndex": order[finding.code],
        "level": finding.severity,
        "message": {"text": _message(result)},
        "locations": [location],
        # Where one result of a run has this list, all must have it.
        "suppressions": [_suppression(accepted, look)] if accepted else [],
        "properties": {
            "exactLine": result.site.exact,
            "lineKnown": result.placed,
            **_cleaned({"parameter": finding.parameter, "objective": finding.objective, "confirmed": finding.confirmed}),
            "facts": _cleaned(to_dict(finding.facts)),
        },
    }


def _cleaned(value: Any) -> Any:
    """Clean every text in plain data: half a surrogate pair, which a name may hold, makes some readers refuse the file."""
    if isinstance(value, dict):
        return {clean(key): _cleaned(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    return clean(value) if isinstance(value, str) else value


def _message(result: Result) -> str:
    """Return the message and at its end what cured it; only the message gives way where both are too long."""
    end = result.remark + (f". {plain(result.cure)}" if result.cure else "")
    end = fitted(end, LONGEST // 2)
    message = result.message or result.finding.name or result.finding.code  # an empty text is refused
    return fitted(plain(message), LONGEST - len(end)) + end


def plain(text: str) -> str:
    """Clean a text; what a viewer would take for a link, `[text](target)`, comes apart."""
    return re.sub(r"\](?=\()", "] ", clean(text))


def _suppression(accepted: Suppressed, look: Look) -> Mapping[str, Any]:
    made: dict[str, Any] = {"kind": "inSource" if accepted.by == "comment" else "external", "status": "accepted"}
    made["justification"] = fitted(plain(accepted.reason)) or f"accepted by a {accepted.by}, without a reason"
    if accepted.site:
        made["location"] = {"physicalLocation": _physical(accepted.site, look)}
    return made


def _physical(site: SourceSite, look: Look) -> Mapping[str, Any]:
    line = max(site.line, 1)
    text = look.source.get((site.file, site.line), "")
    region = {"startLine": line, "startColumn": 1, "endLine": line, "endColumn": len(text) + 1 if text else 2}
    return {"artifactLocation": _artifact(look.from_root(site.file)), "region": region}


def _artifact(path: str) -> Mapping[str, str]:
    if path.startswith("/"):
        return {"uri": f"file://{uri(path)}"}
    return {"uri": uri(path), "uriBaseId": _ROOT}


def uri(path: str) -> str:
    """Write a path as a URI reference; a colon is escaped too, so that no path begins with a scheme."""
    return quote(path, safe="/", errors="replace")
