"""The report for a person: the verdict first, then the evidence, then what it rests on."""

from __future__ import annotations

import math

from rich.text import Text

from gradcheck_cli.records import Report
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.findings import add_findings, add_picture
from gradcheck_cli.reporting.heading import HANG, add_closing, add_footing, add_subject, add_verdict
from gradcheck_cli.reporting.numbers import log10
from gradcheck_cli.reporting.page import Page
from gradcheck_cli.reporting.table import add_layers


def render(report: Report, look: Look) -> str:
    """Render the report as lines that end with a newline."""
    page = Page(look)
    add_subject(page, report)
    page.blank()
    add_verdict(page, report)
    if not any(finding.picture for finding in report.findings):
        _add_healthy_picture(page, report)
    add_findings(page, report)
    page.blank()
    add_layers(page, report)
    page.blank()
    add_footing(page, report)
    page.blank()
    add_closing(page, report)
    return page.render()


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
