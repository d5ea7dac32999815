"""Targets outside what the output can reach.

What it measures
The range that the last activation allows (sigmoid and softmax 0 to 1, tanh -1 to 1, ReLU and softplus from 0 up) against
the smallest and largest target of a regression loss; and targets of a binary cross-entropy outside 0 to 1.

Why it matters
The loss has a floor that no training removes: the output runs into its bound, saturates there, and its gradient vanishes.

Limits and where they come from
`tolerance` 0.1 (share of the reachable range, for ReLU of the targets' RMS): normalised images may overshoot by a few
per cent.

When it is wrong
Rare outliers that should be ignored anyway; prefer clipping them in the data.

What to do
Drop the last activation, or scale the targets into its range (and the predictions back).

References
C. Bishop, "Pattern Recognition and Machine Learning" (2006), section 5.2: matching output unit and error function.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, ObjectiveProfile, Profile, Rule
from gradcheck_cli.rules.examples import objective_of, profile_of, stats_of
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC606",
    name="unreachable-targets",
    summary="Targets outside what the output can reach.",
    severity="error",
    limits=(Limit(name="tolerance", value=0.1, unit="share of the reachable range", source="normalised images overshoot"),),
    hides=("GC607", "GC202"),
)
CONFIRM = "none"  # ranges decide
EFFECT = Quantity("targets beyond the reachable range", "share")
_RANGES = {
    "sigmoid": (0.0, 1.0), "hardsigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "tanh": (-1.0, 1.0), "hardtanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0), "relu": (0.0, math.inf), "softplus": (0.0, math.inf), "relu6": (0.0, 6.0),
    "log_softmax": (-math.inf, 0.0),
}  # fmt: skip


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    o, reach = profile.objective, _reach(profile.objective)
    if reach is None or o.target_min is None or o.target_max is None:
        return
    low, high, what = reach
    slack = limits["tolerance"] * _width(o, low, high)
    if low - slack <= o.target_min and o.target_max <= high + slack:
        return
    yield Finding(
        code="GC606",
        severity="error",
        layer="",
        message=f"targets run from {o.target_min:.3g} to {o.target_max:.3g}; {what} reaches only {low:g} to {high:g}",
        facts={
            "low": low,
            "high": high,
            "target_min": o.target_min,
            "target_max": o.target_max,
            "activation": o.output_activation,
        },
    )


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return by how much they are, as a share of the range."""
    o, reach = profile.objective, _reach(profile.objective)
    if reach is None or o.target_min is None or o.target_max is None:
        return None
    low, high, _ = reach
    beyond = max(low - o.target_min, o.target_max - high, 0.0)
    return Reading(beyond / _width(o, low, high), limits["tolerance"]) if _width(o, low, high) > 0 else None


def _reach(o: ObjectiveProfile) -> tuple[float, float, str] | None:
    """Return the range that targets may have and what limits it, None where nothing does."""
    if o.kind in ("bce", "bce_logits"):
        return 0.0, 1.0, "a binary cross-entropy"
    if o.kind in ("mse", "l1", "huber") and o.output_activation in _RANGES:
        return *_RANGES[o.output_activation], f"the output ({o.output_activation})"
    return None


def _width(o: ObjectiveProfile, low: float, high: float) -> float:
    return high - low if math.isfinite(high - low) else (o.target.rms if o.target else 1.0)


def _example(kind: str, last: str | None, low: float, high: float, rms: float = 1.0) -> Profile:
    target = stats_of(rms)
    return profile_of(objective=objective_of(kind, output_activation=last, target_min=low, target_max=high, target=target))


FIRES = (
    lambda: _example("mse", "sigmoid", 0.0, 100.0),
    lambda: _example("mse", "relu", -2.0, 2.0),
    lambda: _example("l1", "tanh", -3.0, 3.0),
    lambda: _example("bce", "sigmoid", -1.0, 1.0),
)
CLEAN = (
    lambda: _example("mse", "sigmoid", 0.0, 1.0),
    lambda: _example("mse", "tanh", -1.02, 1.0),
    lambda: _example("mse", None, -100.0, 100.0),
    lambda: _example("cross_entropy", "relu", 0.0, 9.0),
    lambda: _example("mse", "relu", 0.0, 1e4),
)
