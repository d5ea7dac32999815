"""The gradient of each layer and spine relative to the loss end, and how far it has moved since an earlier profile."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from gradcheck_cli.records import Arrival, LayerProfile, LayerShift, Level, Profile, Shift, Spine, SpineShift, Verdict

# Decades: a factor of 2. Chosen by us: less than that comes from the random numbers alone, which an edit of one layer
# deals out anew to all that are built after it.
MARGIN = 0.3

_RANKS: dict[Verdict, int] = {"worse": 0, "unknown": 1, "changed": 2, "better": 3, "alike": 4}
# What tells most first: what a frozen layer passes on to is unreached, and reads as if it were the cause.
_TELLING: tuple[Arrival, ...] = ("measured", "unknown", "non-finite", "zero", "frozen", "unreached", "uncalled")
_GONE = ("frozen", "unreached", "uncalled")


def shift_of(old: Level, new: Level) -> Shift:
    """Say how a level has moved: nearer to the gradient at the loss end is better, on whichever side of it."""
    if "unknown" in (old.arrival, new.arrival):
        return Shift(old=old, new=new, worsening=0.0, verdict="alike" if old == new else "unknown")
    if old.decades is not None and new.decades is not None:
        change, worsening = new.decades - old.decades, abs(new.decades) - abs(old.decades)
        return Shift(old=old, new=new, change=change, worsening=worsening, verdict=_verdict(change, worsening))
    worsening = _lost(old, new)
    verdict: Verdict = "alike" if old == new else "changed" if worsening == 0.0 else "worse" if worsening > 0.0 else "better"
    return Shift(old=old, new=new, worsening=worsening, verdict=verdict)


def _verdict(change: float, worsening: float) -> Verdict:
    if abs(worsening) >= MARGIN:
        return "worse" if worsening > 0.0 else "better"
    return "changed" if abs(change) >= MARGIN else "alike"


def _lost(old: Level, new: Level) -> float:
    """Decades where at least one side has no number: a gradient that is not finite is worse than none."""
    broken = new.arrival == "non-finite" and old.arrival != "non-finite"
    if broken or (old.decades is not None and new.decades is None):
        return math.inf
    return -math.inf if new.decades is not None else 0.0


def rank(shift: Shift) -> tuple[int, float, int]:
    """Return a key that sorts the worst first; among the others, what has changed most."""
    size = shift.worsening if shift.verdict == "worse" else abs(shift.change if shift.change is not None else shift.worsening)
    return _RANKS[shift.verdict], -size, _TELLING.index(shift.new.arrival)


def layer_shifts(old: Profile, new: Profile) -> tuple[LayerShift, ...]:
    """Compare the layers that have the same name in both, worst first; of equals, the nearest to the loss first.

    The root of a model with layers inside is left out: it is in every report and returns what the last layer does.
    """
    entry = next((s.entry for s in old.spines if any(s.entry == other.entry for other in new.spines)), None)
    before, after = _loss_end(old, entry), _loss_end(new, entry)
    earlier = {layer.name: layer for layer in old.layers}
    pairs = [(earlier[layer.name], layer) for layer in new.layers if layer.name in earlier]
    levels = [(a, b, level(a, before), level(b, after)) for a, b in pairs if a.name or _is_leaf(a, b)]
    inside = _seen_inside((b.name, x, y) for a, b, x, y in levels if _is_leaf(a, b))
    shifts = [
        LayerShift(layer=b.name, old_kind=a.kind, kind=b.kind, order=b.order, shift=shift_of(x, y))
        for a, b, x, y in levels
        if _is_leaf(a, b) or not _echoes(x, y, inside.get(b.name, ()))
    ]
    return tuple(sorted(shifts, key=lambda each: (*rank(each.shift), -each.order)))


def _is_leaf(old: LayerProfile, new: LayerProfile) -> bool:
    return old.leaf or new.leaf


_Seen = tuple[float | str | None, float | str | None]


def _seen(old: Level, new: Level) -> _Seen:
    """What is seen at a layer on both sides: a module around frozen layers is frozen, the last layer in it unreached."""
    first, second = (None if x.arrival in _GONE else x.decades if x.decades is not None else x.arrival for x in (old, new))
    return first, second


def _seen_inside(leaves: Iterable[tuple[str, Level, Level]]) -> dict[str, set[_Seen]]:
    """What is seen at all leaves, by each module that holds them."""
    found: dict[str, set[_Seen]] = {}
    for name, old, new in leaves:
        parts = name.replace("/", ".").split(".")
        for depth in range(1, len(parts)):
            found.setdefault(".".join(parts[:depth]), set()).add(_seen(old, new))
    return found


def _echoes(old: Level, new: Level, inside: Iterable[_Seen]) -> bool:
    """Say whether a module that holds others tells nothing new: it returns what one of them does, or is never called."""
    return old.arrival == new.arrival == "uncalled" or _seen(old, new) in inside


def level(layer: LayerProfile, loss_end: float | None) -> Level:
    """Return a layer's gradient relative to the one at the loss end, or why there is no number."""
    gradient = layer.gradient
    if gradient is None:
        return Level(arrival="unknown" if layer.state == "measured" else layer.state)
    if gradient.nonfinite or not math.isfinite(gradient.l2):
        return Level(arrival="non-finite")
    if gradient.l2 <= 0.0:
        return Level(arrival="zero")
    if loss_end is None:
        return Level(arrival="unknown")
    return Level(arrival="measured", decades=_decades(gradient.l2, loss_end))


def _loss_end(profile: Profile, entry: str | None) -> float | None:
    """L2 norm of the gradient at the loss end: of the spine to `entry`, else of the longest, else at the last layer.

    A model of a single layer has no spine.
    """
    spines = [s for s in profile.spines if s.points and s.points[0].l2 > 0.0]
    if spines:
        return next((s for s in spines if s.entry == entry), spines[0]).points[0].l2
    arriving = [x for x in profile.layers if x.leaf and level(x, 1.0).arrival == "measured"]
    last = max(arriving, key=lambda x: x.order, default=None)
    return last.gradient.l2 if last and last.gradient else None


def spine_shifts(old: Profile, new: Profile) -> tuple[SpineShift, ...]:
    """Compare the spines that lead to the same entry, or the only one on each side, worst first."""
    earlier = {s.entry: s for s in reversed(old.spines) if s.points}
    pairs = [(earlier[s.entry], s) for s in new.spines if s.points and s.entry in earlier]
    later = [s for s in new.spines if s.points]
    if (
        not pairs and len(earlier) == len(later) == 1
    ):  # its first layer has another name: it is the way to the input all the same
        pairs = [(next(iter(earlier.values())), later[0])]
    shifts = [
        SpineShift(
            entry=b.entry,
            shift=shift_of(_arriving(a, old), _arriving(b, new)),
            old_picture=_picture(a),
            picture=_picture(b),
        )
        for a, b in pairs
    ]
    return tuple(sorted(shifts, key=lambda each: rank(each.shift)))


def _arriving(spine: Spine, profile: Profile) -> Level:
    """The level at the end of a spine. What is not finite is no point of it: then the layer itself says what arrives."""
    first, last = spine.points[0], spine.points[-1]
    if last.layer != spine.entry:
        entry = profile.layer(spine.entry)
        return Level(arrival="unknown") if entry is None else level(entry, None)
    if min(first.l2, last.l2) <= 0.0:
        return Level(arrival="zero")
    return Level(arrival="measured", decades=_decades(last.l2, first.l2))


def _picture(spine: Spine) -> tuple[float, ...]:
    """Decades from the input to the loss; NaN stands for what is missing before the entry."""
    drawn = tuple(_decades(point.l2, spine.points[0].l2) for point in reversed(spine.points))
    return drawn if spine.points[-1].layer == spine.entry else (math.nan, *drawn)


def _decades(l2: float, loss_end: float) -> float:
    """The difference of logarithms: the ratio itself could overflow."""
    if min(l2, loss_end) <= 0.0:
        return -math.inf
    return math.log10(l2) - math.log10(loss_end)


def only_in(profile: Profile, other: Profile) -> tuple[str, ...]:
    """Name the layers that another profile lacks, in execution order, without the modules that only hold them."""
    theirs = {layer.name for layer in other.layers}
    own: Sequence[LayerProfile] = sorted(profile.layers, key=lambda layer: layer.order)
    return tuple(layer.name for layer in own if layer.leaf and layer.name not in theirs)
