"""Regression targets on a scale that blows the loss up.

What it measures
For a squared error, the RMS of the targets over that of the outputs (or over one, if the outputs are smaller).

Why it matters
The gradient of a squared error is proportional to the distance: targets in dollars start it a hundred thousand times too
large, and a network whose weights have size 0.1 needs very long to reach outputs of that size at all.

Limits and where they come from
`ratio` 100: standardised targets have 1; targets within two decades train with usual learning rates. It is an
error from `ratio-error` 1000 on, where the loss starts a million times too large.

When it is wrong
A model that multiplies its output by the targets' scale itself has outputs of that size and is passed over.

What to do
Standardise the targets (and undo it when predicting), or predict their logarithm.

References
Y. LeCun et al., "Efficient BackProp" (1998), section 4.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, ObjectiveProfile, Profile, Rule
from gradcheck_cli.rules.examples import objective_of, profile_of, stats_of
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC607",
    name="unscaled-targets",
    summary="Regression targets on a scale that blows the loss up.",
    severity="warning",
    limits=(
        Limit(name="ratio", value=100.0, unit="target RMS over output RMS", source="standardised targets have 1"),
        Limit(name="ratio-error", value=1000.0, unit="target RMS over output RMS", source="chosen by us: squared, a million"),
    ),
)
CONFIRM = "none"  # the targets are what they are
EFFECT = Quantity("targets / outputs", "", log=True)


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    o = profile.objective
    ratio = _ratio(o)
    if ratio is None or ratio <= limits["ratio"] or o.target is None or o.output is None:
        return
    yield Finding(
        code="GC607",
        severity="error" if ratio > limits["ratio-error"] else "warning",
        layer="",
        message=f"targets have RMS {o.target.rms:.3g} and outputs {o.output.rms:.2g}: {ratio:.2g} times as much "
        f"(limit {limits['ratio']:g}), squared in the loss",
        facts={"ratio": ratio, "target_rms": o.target.rms, "target_mean": o.target.mean, "output_rms": o.output.rms},
    )


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    ratio = _ratio(profile.objective)
    return None if ratio is None else Reading(ratio, limits["ratio"])


def _ratio(o: ObjectiveProfile) -> float | None:
    """RMS of the targets over that of the outputs, of a squared error."""
    if o.kind != "mse" or o.target is None or o.output is None or o.target.nonfinite or o.output.nonfinite:
        return None
    return o.target.rms / max(o.output.rms, 1.0)


def _example(kind: str, target: float, output: float) -> Profile:
    return profile_of(objective=objective_of(kind, target=stats_of(target), output=stats_of(output)))


FIRES = (lambda: _example("mse", 3e5, 0.3), lambda: _example("mse", 200.0, 0.01))
CLEAN = (
    lambda: _example("mse", 1.0, 1e-6),
    lambda: _example("mse", 3e5, 2e5),
    lambda: _example("cross_entropy", 500.0, 0.3),
    lambda: _example("mse", 20.0, 0.1),
)
