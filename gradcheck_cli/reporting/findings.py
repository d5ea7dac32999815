"""One finding: what it is, the numbers behind it, the gradient as a picture, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

from gradcheck_cli.records import Finding, Report
from gradcheck_cli.reporting.heading import STYLES
from gradcheck_cli.reporting.page import Page, said
from gradcheck_cli.reporting.picture import binned, blocks, hue
from gradcheck_cli.reporting.suggestions import add_suggestions
from gradcheck_cli.reporting.trials import Tried, add_trials

_NAMED = 6  # affected layers that are listed by name


def add_findings(page: Page, report: Report) -> None:
    """Write every finding with its suggestions, in the report's order."""
    for finding in report.findings:
        page.blank()
        _add_finding(page, finding, several=len(report.profiles) > 1)
        _add_remedies(page, report, finding)


def _add_remedies(page: Page, report: Report, finding: Finding) -> None:
    """Write what was tried for a finding, or, where nothing was, what is suggested."""
    tried = Tried(report, finding)
    if tried.trials:
        page.blank()
        add_trials(page, tried)
    elif tried.prescriptions:
        page.blank()
        add_suggestions(page, tried.prescriptions)


def _add_finding(page: Page, finding: Finding, *, several: bool) -> None:
    head = Text(f"{finding.severity} {finding.code}", style=STYLES[finding.severity])
    page.add(Text.assemble(head, " ", said(finding.name, "bold"), "  ", said(finding.message)), hang=2)
    lines = list(finding.details)
    if finding.affected:
        lines.append(("harms", _listed(finding.affected, page.look.verbose)))
    if finding.confirmed:
        lines.append(("confirmed", finding.confirmed))
    if several and finding.objective:
        lines.append(("loss", finding.objective))
    if finding.site:
        source = page.look.source.get((finding.site.file, finding.site.line), "")
        about = "" if finding.site.exact else " (the line that builds what holds it)"
        lines.append(("where", f"{finding.site.file}:{finding.site.line}{about}  {source}".rstrip()))
    hang = 4 + max([len(label) for label, _ in lines] + [8])
    for label, text in lines:
        page.add(said(text), label=Text.assemble("  ", said(label, "dim")), hang=hang)
    if finding.picture:
        add_picture(page, finding.picture, label=Text.assemble("  ", ("gradient", "dim")), hang=hang)


def _listed(layers: Sequence[str], verbose: bool) -> str:
    shown = layers if verbose or len(layers) <= _NAMED else layers[: _NAMED - 1]
    names = ", ".join(f"`{name or '(root)'}`" for name in shown)
    return names if len(shown) == len(layers) else f"{names} and {len(layers) - len(shown)} more layers (-v names them)"


def add_picture(page: Page, decades: Sequence[float], *, label: Text, hang: int, remark: str = "log10 of L2") -> None:
    """Draw the gradient from the input to the loss as one row of blocks between its two ends, with a remark behind it."""
    ends = [_end(decades[0]), _end(decades[-1])]
    room = page.width - hang - len(f"input {ends[0]}  {ends[1]} loss  log10 of L2")
    values = binned(decades, max(min(60, room), 8))
    text = Text(f"input {ends[0]} ")
    for mark, value in zip(blocks(values), values, strict=True):
        text.append(mark, style=hue(value, decades[-1]))
    text.append(f" {ends[1]} loss")
    text.append(f"  {remark}", style="dim")
    page.add(text, label=label, hang=hang)


def _end(decades: float) -> str:
    if math.isfinite(decades):
        return f"{round(decades, 1) + 0.0:.1f}"  # + 0.0 turns -0.0 into 0.0
    return {math.inf: "inf", -math.inf: "zero"}.get(decades, "nan")
