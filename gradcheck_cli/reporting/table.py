"""The table of layers: output, gradient and parameter gradient of each, in execution order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from gradcheck_cli.records import Finding, LayerProfile, Profile, Report
from gradcheck_cli.reporting.heading import STYLES
from gradcheck_cli.reporting.numbers import log10, shape, short
from gradcheck_cli.reporting.page import Page, said
from gradcheck_cli.reporting.picture import bar, hue, span

_WORST = 8
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
    if look.layers == "none" or (look.layers == "worst" and not report.findings):
        return
    for profile in report.profiles:
        findings = [f for f in report.findings if f.objective in ("", profile.objective.name)]
        rows = _fold(sorted(profile.layers, key=lambda layer: layer.order), look.depth)
        chosen = rows if look.layers == "all" else _worst(rows, profile, findings)
        of = f" under {profile.objective.name}" if len(report.profiles) > 1 else ""
        few = "" if len(chosen) == len(rows) else f", {len(chosen)} of {len(rows)} (--layers all)"
        page.blank()
        head = (f"layers{of}{few}", "bold")
        page.add(Text.assemble(head, ("  L2 norms of gradients, RMS of outputs", "dim")), hang=2)
        reference = log10(profile.spines[0].points[0].l2) if profile.spines else math.nan
        _add_rows(page, [_cells(row, profile, findings) for row in chosen], chosen, reference)


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
    chosen: list[int] = []
    for name in telling:
        at = next((i for i, row in enumerate(rows) if any(m.name == name for m in row.members)), None)
        if at is not None and at not in chosen and len(chosen) < _WORST:
            chosen.append(at)
    return [rows[i] for i in sorted(chosen)]


def _cells(row: Row, profile: Profile, findings: Sequence[Finding]) -> list[Text]:
    layer = row.layer
    name = Text.assemble(said(layer.name or "(root)"), " ", said(layer.kind, "dim"))
    if len(row.members) > 1:
        name.append(f" +{len(row.members) - 1} inside", style="dim")
    if layer.calls > 1:
        name.append(f" ×{layer.calls} calls", style="dim")
    held = {member.name for member in row.members}
    squares = [p.gradient.l2 for p in profile.parameters if p.layer in held and p.gradient is not None]
    return [
        name,
        Text(shape(layer.output.shape) if layer.output else ""),
        Text(short(layer.output.rms, 2) if layer.output else ""),
        Text(short(layer.gradient.l2, 2) if layer.gradient else ""),
        Text(),
        Text(short(math.hypot(*squares), 2) if squares else ""),
        _flags(row, held, findings),
    ]


def _flags(row: Row, held: set[str], findings: Sequence[Finding]) -> Text:
    flags = Text()
    if row.layer.state != "measured":
        flags.append(row.layer.state + " ", style="yellow" if row.layer.state == "unreached" else "dim")
    for finding in findings:
        if finding.layer in held:
            flags.append(finding.code + " ", style=STYLES[finding.severity])
        elif held & set(finding.affected):
            flags.append(f"({finding.code}) ", style="dim")
    flags.rstrip()
    return flags


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
