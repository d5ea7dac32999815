"""The gradient grows steadily on its way from the loss to the first layers.

What it measures
As GC101, in the other direction: decades that the gradient's L2 norm gains along the spine, without layers whose gain
shape alone decides, without unrolled time (GC104) and without the two largest single jumps.

Why it matters
The first layers get updates that are far too large for any learning rate that suits the last ones: the loss jumps or
turns into NaN, or, with a rate small enough to survive, the rest of the network does not learn.

Limits and where they come from
`steady-warning` and `steady-error` in decades, from `benchmarks/trainability.py`. With normalisation layers on the
spine `norm-allowance` is added: deep chains of batch norm and ReLU grow by 2 to 3.5 decades at initialisation and
train all the same, since a layer in front of a norm is indifferent to the size of its weights (G. Yang et al., 2019,
"A mean field theory of batch normalization").

When it is wrong
A network with weights far smaller than usual in front of norms shows large gradients that harm nobody: the update is
large, and so is the indifference to it.

What to do
Initialise with the gain that the activation asks for, clip gradients by norm while you look for the cause, add
residual connections with a small branch.

References
R. Pascanu et al. (2013), "On the difficulty of training recurrent neural networks"; G. Philipp et al. (2018), "The
exploding gradient problem demystified"; G. Yang et al. (2019).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, Profile, Rule, Severity
from gradcheck_cli.rules.examples import layer_of, profile_of
from gradcheck_cli.rules.reading import Quantity, Reading
from gradcheck_cli.rules.trend import Trend, trend_finding, worst_trend

_SOURCE = "benchmarks/trainability.py and benchmarks/verdicts.py"
RULE = Rule(
    code="GC102",
    name="exploding-gradient",
    summary="The gradient grows steadily on its way from the loss to the first layers.",
    severity="error",
    limits=(
        Limit(name="steady-warning", value=2.0, unit="decades", source=_SOURCE),
        Limit(name="steady-error", value=3.0, unit="decades", source=_SOURCE),
        Limit(name="norm-allowance", value=2.0, unit="decades", source="G. Yang et al. (2019): growth that trains"),
    ),
    hides=("GC105", "GC202", "GC204", "GC301", "GC602"),
)
CONFIRM = "repeats"
EFFECT = Quantity("growth", "decades")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    trend = worst_trend(profile, -1.0)
    if trend is None:
        return
    growth = -trend.steady - _allowance(trend, limits)
    if growth < limits["steady-warning"]:
        return
    severity: Severity = "error" if growth >= limits["steady-error"] else "warning"
    yield trend_finding(profile, trend, "GC102", -1.0, severity)


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return the growth that the message states, against what is allowed with or without norms on the way."""
    trend = worst_trend(profile, -1.0)
    return Reading(-trend.total, limits["steady-warning"] + _allowance(trend, limits)) if trend else None


def _allowance(trend: Trend, limits: Mapping[str, float]) -> float:
    return limits["norm-allowance"] if any(segment.role == "norm" for segment in trend.segments) else 0.0


def reconsider(finding: Finding, profile: Profile, limits: Mapping[str, float]) -> Finding | None:
    """Keep what other seeds show too; training cannot excuse growth, it only may survive it."""
    repeats = profile.confirmation.repeats if profile.confirmation else ()
    again = sum(any(True for _ in check(r, limits)) for r in repeats)
    if repeats and 2 * again <= len(repeats):
        return dataclasses.replace(finding, severity="note", confirmed="not seen with other seeds and batches")
    return dataclasses.replace(finding, confirmed=f"seen with {again} further seeds" if repeats else "")


def _chain(gain: float, layers: int) -> Profile:
    """Linear layers whose gradients grow by `gain` from one to the one before it."""
    return profile_of(*[layer_of(f"net.{i}", gradient=0.01 * gain ** (layers - 1 - i)) for i in range(layers)])


FIRES = (lambda: _chain(3.0, 12),)
CLEAN = (lambda: _chain(1.0, 30), lambda: _chain(1.1, 12), lambda: _chain(0.3, 12))
