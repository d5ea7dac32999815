"""How often each rule fired, over all targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from gradcheck_cli.records import SEVERITIES, Scan
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.heading import STYLES
from gradcheck_cli.reporting.page import Page, said


def render(scans: Sequence[Scan], look: Look) -> str:
    """Render one line for each rule and severity, the most frequent first; targets without a verdict come last."""
    page = Page(look)
    findings = [f for scan in scans if scan.report for f in scan.report.findings]
    counts = Counter((f.code, f.severity, f.name) for f in findings)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0][0], SEVERITIES.index(item[0][1])))
    width = max([len(str(count)) for count in counts.values()], default=1)
    for (code, severity, name), count in ordered:
        row = Text.assemble(f"{count:>{width}}  ", (code, "bold"), "  ", (f"{severity:<7}", STYLES[severity]), "  ", said(name))
        page.add(row)
    if failed := sum(scan.report is None for scan in scans):
        page.add(Text(f"{failed:>{width}}  no verdict"))
    return page.render()
