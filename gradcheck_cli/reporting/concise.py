"""One line for each finding, `file:line: GC101 [error] layer: message`: for editors, grep, and people in a hurry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradcheck_cli.records import Failure, Scan
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.results import failure_site, lines_for, results, why


def render(scans: Sequence[Scan], look: Look) -> str:
    """Render what counts, target by target; nothing where nothing was found. Paths are relative to the working directory."""
    return lines_for(look, [clean(line) for scan in scans for line in _lines(scan)])


def _lines(scan: Scan) -> Iterator[str]:
    if scan.error is not None:
        yield _no_verdict(scan, scan.error)
    for result in results(scan):
        if result.suppressed is None:
            finding, place = result.finding, f"{result.site.file}:{result.site.line}"
            yield f"{place}: {finding.code} [{finding.severity}] {result.layer}: {result.short}{result.remark}"


def _no_verdict(scan: Scan, failure: Failure) -> str:
    site = failure_site(scan)
    place = f"{site.file}:{site.line}: " if site else ""
    return f"{place}{failure.id} [no verdict] {why(failure)}"
