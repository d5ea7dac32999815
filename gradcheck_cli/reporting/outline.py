"""The layers of models that were built and not run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from gradcheck_cli.records import Outline, to_dict
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.json import dump
from gradcheck_cli.reporting.numbers import counted, plural
from gradcheck_cli.reporting.page import Page, said

_HEADS = ("layer", "parameters", "", "built at")
_NARROWEST = 12  # columns that a cell keeps on the smallest screen


def render(outlines: Sequence[Outline], look: Look) -> str:
    """Render a table for each model: its layers by name, their own parameters, and the line that builds each."""
    page = Page(look)
    for outline in outlines:
        page.blank()
        parameters = sum(layer.parameters for layer in outline.layers)
        told = f" · {outline.model_kind} · {plural(len(outline.layers), 'module')} · {counted(parameters)} parameters"
        page.add(Text.assemble(said(outline.target, "bold"), said(told)), hang=2)
        rows = [[Text(head, style="dim") for head in _HEADS], *map(_cells, _by_name(outline))]
        widths = [max(row[column].cell_len for row in rows) for column in range(len(_HEADS))]
        while 2 + sum(widths) + 2 * len(widths) > page.width and max(widths) > _NARROWEST:
            widths[widths.index(max(widths))] -= 1
        for row in rows:
            page.row(row, widths, right=frozenset({1}))
    return page.render()


def _by_name(outline: Outline) -> list[tuple[str, str, int, int, str]]:
    """Return (name, kind, parameters, trainable ones, place) of each layer, in the model's own order."""
    return [
        (
            layer.name or "(root)",
            layer.kind + (f" = {', '.join(layer.aliases)}" if layer.aliases else ""),
            layer.parameters,
            layer.trainable,
            f"{layer.site.file}:{layer.site.line}" if layer.site else "",
        )
        for layer in outline.layers
    ]


def _cells(row: tuple[str, str, int, int, str]) -> list[Text]:
    name, kind, parameters, trainable, place = row
    state = "" if trainable == parameters else "frozen" if not trainable else f"{counted(trainable)} trainable"
    return [
        Text.assemble(said(name), " ", said(kind, "dim")),
        Text(counted(parameters) if parameters else ""),
        Text(state),
        said(place),
    ]


def as_json(outlines: Sequence[Outline]) -> str:
    """Return the layers of one model, or of several under `outlines`."""
    return dump(to_dict(outlines[0]) if len(outlines) == 1 else {"outlines": to_dict(list(outlines))})
