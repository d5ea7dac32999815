"""A comparison in sentences that every format shows, with names between backticks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from gradcheck_cli.records import (
    Comparison,
    Finding,
    LayerShift,
    Level,
    ObjectiveComparison,
    Shift,
    SpineShift,
    Uncompared,
    Verdict,
)
from gradcheck_cli.reporting.numbers import counted, plural, short

_FEW = 8  # layers in the table, and names, findings and spines that are listed
_COUNTED: dict[Verdict, str] = {
    "worse": "worse",
    "better": "better",
    "changed": "changed",
    "unknown": "not observable",
    "alike": "alike",
}
_ARRIVALS = {"zero": "exactly zero", "non-finite": "not finite", "unknown": "not observable"}
_BESIDE = ("below", "above")  # the gradient at the loss end
_ALONG = ("lost", "gained")  # on the way to an entry
_PLAIN, _LARGEST = 4.0, 300.0  # decades whose factor is written without an exponent, and is still a float


def targets(comparison: Comparison) -> str:
    """Name what was compared; once where it has the same name on both sides."""
    return _arrow(comparison.old.target, comparison.new.target)


def subject(comparison: Comparison) -> str:
    """Describe the two reports; what is the same on both sides is written once."""
    old, new = comparison.old, comparison.new
    sizes = _arrow(counted(old.parameter_count), counted(new.parameter_count))
    versions = _arrow(old.tool_version, new.tool_version)
    return f"{_arrow(old.model_kind, new.model_kind)} · {sizes} parameters · gradcheck {versions}"


def _arrow(old: str, new: str) -> str:
    return new if old == new else f"{old} → {new}"


def _name(layer: str) -> str:
    return f"`{layer or '(root)'}`"


def under(objective: ObjectiveComparison, comparison: Comparison) -> str:
    """Name the loss, where there are several."""
    return f" under {objective.name}" if len(comparison.objectives) > 1 else ""


def headline(comparison: Comparison) -> str:
    """Say in one sentence what matters most: which layer has moved furthest to the side of the verdict."""
    if comparison.verdict == "alike":
        return "every layer receives about as much gradient as before"
    of_verdict: list[tuple[ObjectiveComparison, LayerShift | SpineShift]] = [
        *((one, layer) for one in comparison.objectives for layer in one.layers),
        *((one, way) for one in comparison.objectives for way in one.spines),
    ]
    of_verdict = [pair for pair in of_verdict if pair[1].shift.verdict == comparison.verdict]
    layers = [pair for pair in of_verdict if isinstance(pair[1], LayerShift)]
    objective, leading = max(layers or of_verdict, key=lambda pair: abs(pair[1].shift.worsening))
    told = received(leading) if isinstance(leading, LayerShift) else spine(leading)
    return told + under(objective, comparison)


def summary(comparison: Comparison) -> str:
    """Return the verdict as one plain line."""
    return f"{comparison.verdict}: {headline(comparison)}"


def received(each: LayerShift) -> str:
    """Say what a layer receives now and received before."""
    name, old, new = _name(each.layer), each.shift.old, each.shift.new
    if each.shift.change is not None:
        return f"{name} receives {factor(each.shift)} gradient than before ({_moved(old, new, _BESIDE)} the loss end)"
    if new.arrival == "measured":
        return f"{name} receives a gradient again ({_at(new, _BESIDE)} the loss end; before: {_arrival(old)})"
    before = f"{_at(old, _BESIDE)} the loss end" if old.arrival == "measured" else _arrival(old)
    if new.arrival == "non-finite":
        return f"the gradient at {name} is no longer finite (before: {before})"
    return f"{name} receives no gradient any more: {_arrival(new)} (before: {before})"


def factor(shift: Shift) -> str:
    """Write a change as "40 × less"; empty where one of the two has no number, or where there is none to speak of."""
    if shift.change is None:
        return ""
    size = abs(shift.change)
    times = f"{float(f'{10**size:.2g}'):g}" if size < _PLAIN else short(10**size, 2) if size < _LARGEST else f"1e{size:.0f}"
    if times == "1":
        return ""
    return f"{times} × {'less' if shift.change < 0.0 else 'more'}"


def decades(level: Level) -> str:
    """Write a level as a signed number of decades, or why it has none."""
    return _arrival(level) if level.decades is None else signed(level.decades)


def signed(value: float) -> str:
    """Write decades with one decimal."""
    return f"{round(value, 1) + 0.0:.1f}"  # + 0.0 turns -0.0 into 0.0


def _arrival(level: Level) -> str:
    return _ARRIVALS.get(level.arrival, level.arrival)


def _size(level: Level) -> str:
    return f"{abs(level.decades or 0.0):.1f}"


def _at(level: Level, sides: tuple[str, str]) -> str:
    """Write a level as "2.1 decades below", with the words for less and for more."""
    return f"{_size(level)} decades {sides[(level.decades or 0.0) > 0.0]}"


def _moved(old: Level, new: Level, sides: tuple[str, str]) -> str:
    """Write two levels as "2.1 → 3.7 decades below", naming both sides where they differ; 0.0 is on either."""
    told = [sides[(level.decades or 0.0) > 0.0] for level in (old, new) if _size(level) != "0.0"]
    if len(set(told)) > 1:
        return f"{_size(old)} decades {told[0]} → {_size(new)} {told[1]}"
    return f"{_size(old)} → {_size(new)} decades {told[0] if told else sides[0]}"


def spine(each: SpineShift) -> str:
    """Say how much of the gradient is lost on the way to an entry, before and now."""
    old, new, way = each.shift.old, each.shift.new, f"on the way to {_name(each.entry)}"
    if old.decades is not None and new.decades is not None:
        return f"{_moved(old, new, _ALONG)} {way}"
    before, now = (_arrival(level) if level.decades is None else _at(level, _ALONG) for level in (old, new))
    return f"{now} {way} (before: {before})"


def tally(objective: ObjectiveComparison) -> str:
    """Count the layers by what became of them."""
    counts = Counter(each.shift.verdict for each in objective.layers)
    return " · ".join(f"{counts[verdict]} {said}" for verdict, said in _COUNTED.items() if counts[verdict])


def lone(objective: ObjectiveComparison, *, full: bool) -> Iterator[str]:
    """Name the layers that only one report has."""
    for names, where in ((objective.added, "new"), (objective.removed, "old")):
        if names:
            shown = names if full or len(names) <= _FEW else names[: _FEW - 2]
            rest = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
            yield f"{plural(len(names), 'layer')} only in the {where} report: {', '.join(map(_name, shown))}{rest}"


def findings(comparison: Comparison, *, full: bool) -> Iterator[str]:
    """Name what is found only now, and what is no longer found."""
    for found, what in ((comparison.new_findings, "new"), (comparison.gone_findings, "gone")):
        shown = found if full or len(found) <= _FEW else found[: _FEW - 1]
        yield from (f"{what}: {_finding(finding)}" for finding in shown)
        if len(shown) < len(found):
            yield f"{what}: {len(found) - len(shown)} more"


def _finding(finding: Finding) -> str:
    where = finding.parameter or finding.layer
    return f"{finding.severity} {finding.code} {finding.name}" + (f" at `{where}`" if where else "")


def uncompared(target: Uncompared) -> str:
    """Say which target has no comparison, and why."""
    return f"{_name(target.target) if target.target else 'a target'} was not compared: {target.reason}"


def kind(each: LayerShift) -> str:
    """Write what the layer is, and what it was where that differs."""
    return _arrow(each.old_kind, each.kind)


def chosen(layers: Sequence[LayerShift], which: str) -> Sequence[LayerShift]:
    """Return the layers to show, worst first: "all" of them, or with "worst" the first few that are not alike."""
    if which == "all":
        return layers
    return [each for each in layers if each.shift.verdict != "alike"][:_FEW] if which == "worst" else ()


def few(shown: Sequence[LayerShift], layers: Sequence[LayerShift]) -> str:
    """Say how many layers are shown, where it is not all of them."""
    return "" if len(shown) == len(layers) else f", {len(shown)} of {len(layers)} (--layers all)"


def notable(spines: Sequence[SpineShift], *, full: bool) -> Sequence[SpineShift]:
    """Return the spines to show, worst first: those that are not alike, and at least one."""
    return spines if full else [each for each in spines if each.shift.verdict != "alike"][:_FEW] or spines[:1]
