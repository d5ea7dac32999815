"""What an edit did to the number behind a finding."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from gradcheck_cli.records import Effect, Finding, Profile
from gradcheck_cli.rules import RuleFile, load_rules
from gradcheck_cli.rules.objectives import united
from gradcheck_cli.rules.reading import Quantity, Reading
from gradcheck_cli.rules.selection import limits_of
from gradcheck_cli.settings import Settings

_SMALLEST = 1e-300  # stands for zero on a logarithmic scale
_WORST = -math.inf


def measure_effect(finding: Finding, before: Sequence[Profile], after: Sequence[Profile], settings: Settings) -> Effect:
    """Read the finding's number from the profiles of the original and of the edited copy, under the finding's objective.

    The limit is the one that holds for the copy; None says that the rule does not judge the number there any more.
    """
    file = _files()[finding.code]
    limits = limits_of(file.rule, settings)
    was, now = (file.measure(_profile(file, finding, profiles), finding, limits) for profiles in (before, after))
    limit = now.limit if now else was.limit if was else None
    return Effect(
        label=file.effect.label,
        unit=file.effect.unit,
        before=was.value if was else math.nan,
        after=now.value if now else None,
        limit=limit,
    )


def read_effect(finding: Finding, profiles: Sequence[Profile], settings: Settings) -> tuple[Quantity, Reading] | None:
    """Return what the finding's rule measures, with the number on these profiles; None where it cannot be measured."""
    file = _files()[finding.code]
    reading = file.measure(_profile(file, finding, profiles), finding, limits_of(file.rule, settings))
    return None if reading is None else (file.effect, reading)


def worsening(quantity: Quantity, before: float, now: Reading) -> float:
    """Return how far a number has moved to the side of its limit where it is ill, negative for the other way.

    In decades for what is measured in decades or by ratio, as a share for shares, and as a factor's logarithm to the base
    of two for counts. NaN is as bad as can be, and nothing is worse than what was not finite before.
    """
    if not math.isfinite(before):
        return 0.0
    if math.isnan(now.value):
        return math.inf
    if quantity.unit in ("decades", "share") and not quantity.log:
        moved = now.value - before
    else:
        base = 10.0 if quantity.log else 2.0
        moved = math.log(max(now.value, _SMALLEST) / max(before, _SMALLEST), base)
    above = quantity.worse == "above" or (quantity.worse == "either" and (now.limit is None or now.value > now.limit))
    return moved if above else -moved


def improvement(effect: Effect) -> float:
    """Return which share of the excess over the limit is gone: 1 within the limit, 0 unchanged, negative when worse.

    Measured in decades for ratios. What can no longer be measured, or is no longer judged, is within the limit; NaN is
    as bad as can be.
    """
    quantity = _quantities()[effect.label, effect.unit]
    if effect.after is None or effect.limit is None:
        return 1.0
    if math.isnan(effect.after):
        return _WORST
    if not math.isfinite(effect.before):
        return 0.0
    before, after, limit = (_on_scale(x, quantity) for x in (effect.before, effect.after, effect.limit))
    sign = 1.0 if quantity.worse == "above" or (quantity.worse == "either" and before > limit) else -1.0
    excess, left = sign * (before - limit), sign * (after - limit)
    if left == excess:
        return 0.0
    if left < 0.0:
        return 1.0
    return 1.0 - left / excess if excess > 0.0 else -1.0


def _on_scale(value: float, quantity: Quantity) -> float:
    return math.log10(max(value, _SMALLEST)) if quantity.log else value


def _profile(file: RuleFile, finding: Finding, profiles: Sequence[Profile]) -> Profile:
    """The profile that `judge` had when it raised the finding."""
    if file.every_objective and len(profiles) > 1:
        return united(profiles)
    return next((p for p in profiles if p.objective.name == finding.objective), profiles[0])


@functools.cache
def _files() -> dict[str, RuleFile]:
    return {file.rule.code: file for file in load_rules()}


@functools.cache
def _quantities() -> dict[tuple[str, str], Quantity]:
    """Every rule's quantity by label and unit, which are all that an Effect keeps of it."""
    return {(file.effect.label, file.effect.unit): file.effect for file in load_rules()}
