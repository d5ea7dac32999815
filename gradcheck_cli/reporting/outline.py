"""The layers of models that were built and not run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from gradcheck_cli import __version__
from gradcheck_cli.records import SCHEMA_VERSION, Failure, LayerOutline, Outline, to_dict
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
        rows = [[Text(head, style="dim") for head in _HEADS], *map(_cells, outline.layers)]
        widths = [max(row[column].cell_len for row in rows) for column in range(len(_HEADS))]
        while 2 + sum(widths) + 2 * len(widths) > page.width and max(widths) > _NARROWEST:
            widths[widths.index(max(widths))] -= 1
        for row in rows:
            page.row(row, widths, right=frozenset({1}))
    return page.render()


def _cells(layer: LayerOutline) -> list[Text]:
    alike = f" = {', '.join(layer.aliases)}" if layer.aliases else ""
    some = f"{counted(layer.trainable)} trainable" if layer.trainable else "frozen"
    return [
        Text.assemble(said(layer.name or "(root)"), " ", said(f"{layer.kind}{alike}", "dim")),
        Text(counted(layer.parameters) if layer.parameters else ""),
        Text("" if layer.trainable == layer.parameters else some),
        said(f"{layer.site.file}:{layer.site.line}" if layer.site else ""),
    ]


def as_json(outlined: Sequence[tuple[str, Outline | Failure | None]]) -> str:
    """Return the layers of one target, or of several under `outlines`; an error stands in the place of what failed."""
    head = {"schema_version": SCHEMA_VERSION, "tool_version": __version__}
    if len(outlined) == 1:
        _, only = outlined[0]
        return dump(to_dict(only) if isinstance(only, Outline) else {**head, "error": to_dict(only)})
    parts = [
        {"target": target, "outline" if isinstance(made, Outline) else "error": to_dict(made)} for target, made in outlined
    ]
    return dump({**head, "outlines": parts})
