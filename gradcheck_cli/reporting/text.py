"""The report for a person: the verdict first, then the evidence, then what it rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

from gradcheck_cli.records import Report, Scan
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.comparison import add_comparison
from gradcheck_cli.reporting.findings import add_findings, add_picture
from gradcheck_cli.reporting.heading import HANG, STYLES, add_closing, add_footing, add_subject, add_verdict
from gradcheck_cli.reporting.numbers import log10
from gradcheck_cli.reporting.page import Page, said
from gradcheck_cli.reporting.summary import summary
from gradcheck_cli.reporting.table import add_layers


def render(scans: Sequence[Scan], look: Look) -> str:
    """Render the report of each target, and of several a closing overview, as lines that end with a newline."""
    page = Page(look)
    for scan in scans:
        page.blank()
        if scan.report is not None:
            add_report(page, scan.report)
        else:
            _add_failure(page, scan)
    if len(scans) > 1:
        page.blank()
        _add_overview(page, scans)
    return page.render()


def add_report(page: Page, report: Report) -> None:
    """Write the report of one target."""
    add_subject(page, report)
    page.blank()
    add_verdict(page, report)
    if not any(finding.picture for finding in report.findings):
        _add_healthy_picture(page, report)
    add_findings(page, report)
    page.blank()
    add_layers(page, report)
    if report.comparison is not None:
        page.blank()
        add_comparison(page, report.comparison)
    page.blank()
    add_footing(page, report)
    page.blank()
    add_closing(page, report)


def _add_failure(page: Page, scan: Scan) -> None:
    error = scan.error
    if error is None:
        return
    page.add(Text.assemble(said(scan.target, "bold"), " · ", ("no verdict", STYLES["error"])), hang=2)
    for label, told in ((error.id, error.what), ("at", error.where), ("why", error.why), ("hint", error.do)):
        if told:
            page.add(said(told), label=Text(f"  {label}", style="dim"), hang=HANG)


def _add_overview(page: Page, scans: Sequence[Scan]) -> None:
    """List all targets with their verdicts, so that the end of a long log tells everything."""
    page.add(Text(f"{len(scans)} targets", style="bold"))
    width = min(max(len(clean(scan.target)) for scan in scans), 60) + 4
    for scan in scans:
        worst = scan.report.worst() if scan.report else "error"
        told = summary(scan.report) if scan.report else f"no verdict: {scan.error.id} {scan.error.what}" if scan.error else ""
        style = STYLES[worst] if worst and worst != "note" else "bold green"
        verdict, _, rest = told.partition(": ")
        label = said(f"  {scan.target}")
        text = Text.assemble((verdict, style), ": ", said(rest))
        if label.cell_len + 2 > width:
            page.add(label, hang=2)
            label = Text()
        page.add(text, label=label, hang=width)


def _add_healthy_picture(page: Page, report: Report) -> None:
    for profile in report.profiles:
        if profile.spines and len(profile.spines[0].points) > 1:
            spine = profile.spines[0]
            decades = [log10(point.l2) for point in reversed(spine.points)]
            change = f"{abs(spine.drop):.1f} decades {'lost' if spine.drop >= 0 else 'gained'} on the way to the input"
            told = change if math.isfinite(decades[0]) else "nothing arrives at the input"
            under = f" under {profile.objective.name}" if len(report.profiles) > 1 else ""
            add_picture(
                page,
                decades,
                label=Text("gradient"),
                hang=HANG,
                remark=f"{told}{under}",
            )
