"""A comparison for people: the verdict first, then what speaks for it; and for machines as one JSON object."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.text import Text

from gradcheck_cli import __version__
from gradcheck_cli.records import (
    SCHEMA_VERSION,
    Compared,
    Comparison,
    LayerShift,
    ObjectiveComparison,
    SpineShift,
    Uncompared,
    Verdict,
    to_dict,
)
from gradcheck_cli.reporting import comparison_words as words
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.comparison_markdown import markdown
from gradcheck_cli.reporting.heading import HANG
from gradcheck_cli.reporting.json import dump
from gradcheck_cli.reporting.markdown_text import prose
from gradcheck_cli.reporting.page import Page, said, to_ascii
from gradcheck_cli.reporting.picture import binned, blocks, hue

_STYLES: dict[Verdict, str] = {
    "worse": "bold red",
    "changed": "bold yellow",
    "unknown": "bold yellow",
    "better": "bold green",
    "alike": "bold green",
}
_UNIT = "decades from the gradient at the loss end"
_HEADS = ("layer", "old", "new", "", "")
_RIGHT = frozenset({1, 2})


def render(compared: Compared, look: Look) -> str:
    """Render what became of every target: as text, Markdown or JSON."""
    if look.format == "json":
        return dump({"schema_version": SCHEMA_VERSION, "tool_version": __version__, **to_dict(compared)})
    if look.format == "markdown":
        parts = [markdown(comparison, look.layers) for comparison in compared.comparisons]
        text = "\n".join([*parts, *(f"{prose(words.uncompared(target))}\n" for target in compared.uncompared)])
        return text if look.unicode else to_ascii(text.replace("·", ","))  # a bar would look like a cell of a table
    page = Page(look)
    for comparison in compared.comparisons:
        page.blank()
        add_comparison(page, comparison)
    add_uncompared(page, compared.uncompared)
    return page.render()


def add_comparison(page: Page, comparison: Comparison) -> None:
    """Write what became of one target: the verdict, what speaks for it, then the layers, worst first."""
    full = page.look.layers == "all"
    head = Text.assemble(said(words.targets(comparison), "bold"), said(f" · {words.subject(comparison)}"))
    page.add(head, label=Text("compared"), hang=HANG)
    verdict = Text(comparison.verdict, style=_STYLES[comparison.verdict])
    page.add(Text.assemble(verdict, ": ", said(words.headline(comparison))), label=Text("verdict"), hang=HANG)
    _add_lines(page, "findings", words.findings(comparison, full=full))
    for objective in comparison.objectives:
        counts = f"{words.tally(objective)}{words.under(objective, comparison)}"
        _add_lines(page, "layers", (counts, *words.lone(objective, full=full)))
        for number, each in enumerate(words.notable(objective.spines, full=full)):
            _add_spine(page, each, drawn=full or (number == 0 and each.shift.verdict != "alike"))
    _add_lines(page, "remarks", comparison.remarks)
    if page.look.layers != "none":
        for objective in comparison.objectives:
            _add_layers(page, objective, words.under(objective, comparison))


def add_uncompared(page: Page, targets: Iterable[Uncompared]) -> None:
    """Name the targets that could not be compared, and why."""
    for number, each in enumerate(targets):
        if number == 0:
            page.blank()
        page.add(said(words.uncompared(each)), hang=2)


def _add_lines(page: Page, label: str, lines: Iterable[str]) -> None:
    for number, line in enumerate(lines):
        page.add(said(line), label=Text("" if number else label), hang=HANG)


def _add_spine(page: Page, each: SpineShift, *, drawn: bool) -> None:
    """Say what is lost along a spine, and draw the gradient before and now on one scale."""
    page.add(said(words.spine(each)), label=Text("gradient"), hang=HANG)
    if not drawn:
        return
    pictures = {"old": each.old_picture, "new": each.picture}
    ends = {side: (_end(values[0]), _end(values[-1])) for side, values in pictures.items()}
    left, right = (max(len(pair[i]) for pair in ends.values()) for i in (0, 1))
    room = max(min(60, page.width - HANG - len(f"input {' ' * left}  {' ' * right} loss")), 8)
    rows = {side: binned(values, room) for side, values in pictures.items()}
    marks = blocks([*rows["old"], *rows["new"]])
    for side, values in rows.items():
        own, marks = marks[: len(values)], marks[len(values) :]
        text = Text(f"input {ends[side][0]:>{left}} ")
        for mark, value in zip(own, values, strict=True):
            text.append(mark, style=hue(value, 0.0))
        text.append(f" {ends[side][1]} loss")
        page.add(text, label=Text(f"  {side}", style="dim"), hang=HANG)


def _end(value: float) -> str:
    return words.signed(value) if math.isfinite(value) else "?" if math.isnan(value) else "zero"


def _add_layers(page: Page, objective: ObjectiveComparison, under: str) -> None:
    """Write the table of layers: names fold onto further lines where the width is short, nothing is cut off."""
    layers = words.chosen(objective.layers, page.look.layers)
    if not layers:
        return
    page.blank()
    head = Text.assemble(said(f"layers{under}{words.few(layers, objective.layers)}", "bold"), (f"  {_UNIT}", "dim"))
    page.add(head, hang=2)
    table = [[Text(head, style="dim") for head in _HEADS], *map(_cells, layers)]
    widths = [max(line[column].cell_len for line in table) for column in range(len(_HEADS))]
    spare = page.width - 2 - sum(widths[1:]) - 2 * len(widths)
    widths[0] = max(min(widths[0], spare), 12)
    for line in table:
        page.row(line, widths, right=_RIGHT)


def _cells(each: LayerShift) -> list[Text]:
    shift = each.shift
    return [
        Text.assemble(said(each.layer or "(root)"), " ", said(words.kind(each), "dim")),
        Text(words.decades(shift.old)),
        Text(words.decades(shift.new)),
        Text(words.factor(shift)),
        Text(shift.verdict, style="dim" if shift.verdict == "alike" else _STYLES[shift.verdict]),
    ]
