"""What a trial measured, as short text: the number behind the finding, and the loss after some steps of training."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck_cli.records import Effect, TrainingProbe, TrainingRuns
from gradcheck_cli.reporting.numbers import short

_NONE = "none"  # what the rule finds nothing any more to judge by


@dataclass(frozen=True, slots=True)
class Arrow:
    """A number before and after, and what is said behind it."""

    before: str
    after: str
    behind: str = ""

    def __str__(self) -> str:
        return f"{self.before} → {self.after}{self.behind}"


def aligned(arrows: Sequence[Arrow | None], instead: str) -> list[str]:
    """Write arrows below each other, and points too where all have the same decimals. None becomes `instead`."""
    made = [arrow for arrow in arrows if arrow]
    left = max((len(a.before) for a in made if _is_number(a.before)), default=0)
    numbers = [a.after for a in made if _is_number(a.after)]
    alike = len({len(number.partition(".")[2]) for number in numbers}) == 1
    right = max(map(len, numbers)) if alike else 0
    return [f"{a.before:>{left}} → {a.after:>{right}}{a.behind}" if a else instead for a in arrows]


def effect(measured: Effect | None) -> Arrow | None:
    """Write the finding's own number before and after; decades with one decimal, shares in percent."""
    if measured is None:
        return None
    before, after = measured.before, measured.after
    if measured.unit == "decades":
        return Arrow(_fixed(before, 1), _NONE if after is None else _fixed(after, 1))
    if measured.unit == "share":
        return Arrow(percent(before), _NONE if after is None else percent(after))
    if after is None:
        return Arrow(short(before), _NONE)
    return Arrow(*_alike(before, after))


def limit(measured: Effect) -> str:
    """Write the limit with its unit; empty where there is none."""
    if measured.limit is None:
        return ""
    return percent(measured.limit) if measured.unit == "share" else f"{short(measured.limit)} {measured.unit}".rstrip()


def loss(probe: TrainingProbe | None) -> Arrow | None:
    """Write the loss that the original and the edited copy end at: medians over the seeds, ± half the spread.

    Where the edit changes the unit of the loss, the fall of each relative to its own start stands in its place.
    """
    if probe is None:
        return None
    failed, failing = _failures(probe.original), _failures(probe.edited)
    if probe.verdict == "diverged":
        failing = failing or "diverges"
    if not probe.comparable:
        return Arrow(failed or _fall(probe.original), failing or _fall(probe.edited))
    before, after = (0.0 if f else statistics.median(r.end) for f, r in ((failed, probe.original), (failing, probe.edited)))
    shown = _alike(before, after)
    if failing:
        return Arrow(failed or shown[0], failing)
    spread = (max(probe.edited.end) - min(probe.edited.end)) / 2
    return Arrow(failed or shown[0], shown[1], f" ± {_as_precise(spread, shown[1])}")


def percent(share: float) -> str:
    """Write a share as "71 %", with two digits where it is small."""
    if not math.isfinite(share):
        return short(share)
    value = 100 * share
    return f"{value:.0f} %" if value == 0 or abs(value) >= 10 else f"{short(value, 2)} %"


def _failures(runs: TrainingRuns) -> str:
    """Say how many runs left the finite numbers."""
    bad = sum(not math.isfinite(end) for end in runs.end)
    if not bad:
        return ""
    return "diverges" if bad == len(runs.end) else f"{bad} of {len(runs.end)} diverge"


def _fall(runs: TrainingRuns) -> str:
    falls = [(start - end) / abs(start) for start, end in zip(runs.start, runs.end, strict=True) if start]
    if not falls or not math.isfinite(statistics.median(falls)):
        return "unlike its start"
    median = statistics.median(falls)
    return f"{'falls' if median >= 0 else 'rises'} {percent(abs(median))}"


def _alike(before: float, after: float) -> tuple[str, str]:
    """Write two numbers with the same decimals, so many that the larger one has three digits; counts without any."""
    largest = max((abs(v) for v in (before, after) if math.isfinite(v)), default=0.0)
    if largest < 1e5 and before.is_integer() and after.is_integer():
        return f"{before:.0f}", f"{after:.0f}"
    if not 1e-3 <= largest < 1e5:
        return short(before), short(after)
    decimals = max(0, 2 - math.floor(math.log10(largest)))
    return _digits(before, decimals), _digits(after, decimals)


def _digits(value: float, decimals: int) -> str:
    """Write so many decimals, or three digits where these would show less than two."""
    too_small = value != 0 and abs(value) < 10 ** (1 - decimals)
    return short(value) if too_small else _fixed(value, decimals)


def _fixed(value: float, decimals: int) -> str:
    return f"{round(value, decimals) + 0.0:.{decimals}f}" if math.isfinite(value) else short(value)  # + 0.0: no -0.0


def _as_precise(spread: float, value: str) -> str:
    """Write a spread with the decimals of the value that it belongs to."""
    return short(spread, 2) if "e" in value or spread >= 1e5 else _fixed(spread, len(value.partition(".")[2]))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[\d.]+(e-?\d+)?( %)?", text) is not None
