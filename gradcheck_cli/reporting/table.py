"""The table of layers: output, gradient and parameter gradient of each, in execution order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from gradcheck_cli.records import Finding, LayerProfile, Profile, Report
from gradcheck_cli.reporting.heading import STYLES
from gradcheck_cli.reporting.numbers import log10, shape, short
from gradcheck_cli.reporting.page import Page, said
from gradcheck_cli.reporting.picture import bar, hue, span

_WORST = 8
_OF_NO_LAYER = ("GC901",)  # rules about gradcheck's own settings
_HEADS = ("layer", "output", "RMS", "gradient", "", "parameters", "")
_RIGHT = frozenset({2, 3, 5})
_BAR = 4  # its column


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `members` are the layers that it stands for, itself included."""

    layer: LayerProfile
    members: tuple[LayerProfile, ...]


def add_layers(page: Page, report: Report) -> None:
    """Write the table of each profile, unless there is nothing that deserves one."""
    look = page.look
    of_layers = [f for f in report.findings if f.code not in _OF_NO_LAYER]
    if look.layers == "none" or (look.layers == "worst" and not of_layers):
        return
    for profile in report.profiles:
        findings = [f for f in of_layers if f.objective in ("", profile.objective.name)]
        rows = _fold(sorted(profile.layers, key=lambda layer: layer.order), look.depth)
        chosen = rows if look.layers == "all" else _worst(rows, profile, findings)
        of = f" under {profile.objective.name}" if len(report.profiles) > 1 else ""
        few = "" if len(chosen) == len(rows) else f", {len(chosen)} of {len(rows)} (--layers all)"
        page.blank()
        head = (f"layers{of}{few}", "bold")
        page.add(Text.assemble(head, ("  L2 norms of gradients, RMS of outputs", "dim")), hang=2)
        reference = log10(profile.spines[0].points[0].l2) if profile.spines else math.nan
        norms, flags = _norms(profile), _flags(findings)
        _add_rows(page, [_cells(row, norms, flags) for row in chosen], chosen, reference)


def _fold(layers: Sequence[LayerProfile], depth: int | None) -> list[Row]:
    """Put layers below `depth` levels of names into one row with the layer above them."""
    groups: dict[str, list[LayerProfile]] = {}
    for layer in layers:
        parts = layer.name.replace("/", ".").split(".")
        folded = depth is not None and layer.name and len(parts) > depth
        groups.setdefault(".".join(parts[:depth]) if folded else layer.name, []).append(layer)
    rows = []
    for name, members in groups.items():
        own = next((m for m in members if m.name == name), None)
        # A ModuleList is never called: what comes out of its last member stands for it.
        layer = own or dataclasses.replace(members[-1], name=name, kind="")
        rows.append(Row(layer, tuple(members)))
    return rows


def _worst(rows: Sequence[Row], profile: Profile, findings: Sequence[Finding]) -> list[Row]:
    """Choose the rows that tell most: where findings point, the ends of the spine, the largest changes on it."""
    points = [p.layer for p in profile.spines[0].points] if profile.spines else []
    segments = profile.spines[0].segments if profile.spines else ()
    steep = sorted(segments, key=lambda s: -abs(s.log10_gain) if math.isfinite(s.log10_gain) else -math.inf)
    spread = [points[round(i * (len(points) - 1) / (_WORST - 1))] for i in range(_WORST)] if points else []
    telling = [f.layer for f in findings] + points[:1] + points[-1:] + [s.layer for s in steep[:2]] + spread
    places = {member.name: i for i, row in enumerate(rows) for member in row.members}
    chosen: list[int] = []
    for name in telling:
        at = places.get(name)
        if at is not None and at not in chosen and len(chosen) < _WORST:
            chosen.append(at)
    return [rows[i] for i in sorted(chosen)]


def _norms(profile: Profile) -> dict[str, list[float]]:
    """L2 norms of the parameters' gradients by the layer that holds them."""
    norms: dict[str, list[float]] = {}
    for parameter in profile.parameters:
        if parameter.gradient is not None:
            norms.setdefault(parameter.layer, []).append(parameter.gradient.l2)
    return norms


def _flags(findings: Sequence[Finding]) -> dict[str, list[tuple[int, bool, Finding]]]:
    """The findings by each layer they concern, with their place in the report and whether that layer is to blame."""
    flags: dict[str, list[tuple[int, bool, Finding]]] = {}
    for number, finding in enumerate(findings):
        for name in dict.fromkeys((finding.layer, *finding.affected)):
            flags.setdefault(name, []).append((number, name == finding.layer, finding))
    return flags


def _cells(row: Row, norms: Mapping[str, list[float]], flags: Mapping[str, list[tuple[int, bool, Finding]]]) -> list[Text]:
    layer = row.layer
    name = Text.assemble(said(layer.name or "(root)"), " ", said(layer.kind, "dim"))
    if len(row.members) > 1:
        name.append(f" +{len(row.members) - 1} inside", style="dim")
    if layer.calls > 1:
        name.append(f" ×{layer.calls} calls", style="dim")
    held = [member.name for member in row.members]
    gradients = [norm for name in held for norm in norms.get(name, ())]
    return [
        name,
        Text(shape(layer.output.shape) if layer.output else ""),
        Text(short(layer.output.rms, 2) if layer.output else ""),
        Text(short(layer.gradient.l2, 2) if layer.gradient else ""),
        Text(),
        Text(short(math.hypot(*gradients), 2) if gradients else ""),
        _flagged(layer, [flag for name in held for flag in flags.get(name, ())]),
    ]


def _flagged(layer: LayerProfile, flags: Sequence[tuple[int, bool, Finding]]) -> Text:
    """Name the layer's state and what was found, in the report's order; in brackets what only harms it."""
    blamed = {number for number, to_blame, _ in flags if to_blame}
    text = Text()
    if layer.state != "measured":
        text.append(layer.state + " ", style="yellow" if layer.state == "unreached" else "dim")
    for number, finding in sorted({number: finding for number, _, finding in flags}.items()):
        if number in blamed:
            text.append(finding.code + " ", style=STYLES[finding.severity])
        else:
            text.append(f"({finding.code}) ", style="dim")
    text.rstrip()
    return text


def _add_rows(page: Page, cells: list[list[Text]], rows: Sequence[Row], reference: float) -> None:
    """Lay the columns out: the bars shrink first, then names fold onto further lines; nothing is cut off."""
    decades = [log10(row.layer.gradient.l2) if row.layer.gradient else math.nan for row in rows]
    low, high = span(decades)
    longest = 24 if page.width >= 110 else 12 if page.width >= 78 else 6
    for line, value in zip(cells, decades, strict=True):
        line[_BAR] = Text(bar(value, low, high, longest, fine=page.look.unicode), style=hue(value, reference))
    heads = [Text(head, style="dim") for head in _HEADS]
    if longest >= 12:
        heads[_BAR] = Text(f"1e{low:.0f} … 1e{high:.0f}", style="dim")
    table = [heads, *cells]
    widths = [max(line[column].cell_len for line in table) for column in range(len(_HEADS))]
    spare = page.width - 2 - sum(widths[1:]) - 2 * len(widths)
    widths[0] = max(min(widths[0], spare), 12)
    for line in table:
        page.row(line, widths, right=_RIGHT)
