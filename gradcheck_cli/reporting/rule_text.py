"""Rules for the screen: one page, or the list of all."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from gradcheck_cli.records import Rule
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.heading import STYLES
from gradcheck_cli.reporting.page import Page, said
from gradcheck_cli.reporting.rule_page import HEADINGS, limits_table, sections

_NARROWEST = 12  # columns that a cell keeps on the smallest screen


def render_page(rule: Rule, page: str, look: Look) -> str:
    """Render one rule's page, with its limits as a table."""
    out = Page(look)
    out.add(Text.assemble(said(f"{rule.code} {rule.name}", "bold"), "  ", (rule.severity, STYLES[rule.severity])))
    for heading, paragraphs in sections(page):
        out.blank()
        if heading:
            out.add(Text(heading, style="bold"))
        for paragraph in paragraphs:
            out.add(said(paragraph), label=Text("  ") if heading else None, hang=2 if heading else 0)
        if heading == HEADINGS[2] and rule.limits:
            out.blank()
            _add_limits(out, rule)
    return out.render()


def _add_limits(out: Page, rule: Rule) -> None:
    rows = [("limit", "value", "unit", "source"), *limits_table(rule)]
    cells = [[Text(cell, style="dim" if number == 0 else "") for cell in row] for number, row in enumerate(rows)]
    _add_table(out, cells, right=frozenset({1}))


def render_list(rules: Sequence[Rule], look: Look) -> str:
    """Render code, severity, name and summary of every rule."""
    out = Page(look)
    cells = [[said(r.code, "bold"), Text(r.severity, style=STYLES[r.severity]), said(r.name), said(r.summary)] for r in rules]
    _add_table(out, cells, right=frozenset(), indent=0)
    return out.render()


def _add_table(out: Page, cells: Sequence[Sequence[Text]], *, right: frozenset[int], indent: int = 2) -> None:
    """Lay out a table; where it is too wide for the screen, its widest columns give way."""
    widths = [max(row[column].cell_len for row in cells) for column in range(len(cells[0]))]
    while indent + sum(widths) + 2 * len(widths) > out.width and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    for row in cells:
        out.row(row, widths, right=right, indent=indent)
