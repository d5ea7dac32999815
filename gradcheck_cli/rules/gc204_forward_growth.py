"""The signal grows from layer to layer on its way to the loss.

What it measures
The RMS of the linear layers' outputs on the way from the input to the loss, behind the last normalisation (a norm undoes
all growth before it), in decades from the first to the last.

Why it matters
Growth forward means outputs far outside what the loss is made for: a classifier that is certain and wrong, a regression
whose first loss is astronomical; and, by the same weights, a gradient that grows backward.

Limits and where they come from
`decades` 3: residual networks without normalisation grow by half a decade for ten blocks and train. No healthy network of
ours passes 2. `largest-step` 0.6 (share of the growth): growth in one place is not a trend; GC301 looks at single layers.

When it is wrong
When the loss takes outputs of that size on purpose (targets on the same scale).

What to do
Initialise for the activation that stands behind each layer (He for ReLU), or normalise between the blocks.

References
K. He et al. (2015), section 2.2; B. Hanin, D. Rolnick, "How to Start Training" (2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, profile_of
from gradcheck_cli.rules.reading import Quantity, Reading
from gradcheck_cli.rules.signal_trend import signal_trend

RULE = Rule(
    code="GC204",
    name="forward-growth",
    summary="The signal grows from layer to layer on its way to the loss.",
    severity="warning",
    limits=(
        Limit(name="decades", value=3.0, unit="log10 of output RMS, last over first", source="healthy ones stay below 2"),
        Limit(name="largest-step", value=0.6, unit="share of the growth", source="a trend has more than one step"),
    ),
    hides=("GC602",),
)
CONFIRM = "repeats"
UNCONFIRMED = "silent"
EFFECT = Quantity("forward growth", "decades")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    trend = signal_trend(profile)
    if trend is None or trend.decades < limits["decades"] or trend.largest_step > limits["largest-step"]:
        return
    last = trend.layers[-1]
    yield Finding(
        code="GC204",
        severity="warning",
        layer=last.name,
        site=last.site,
        message=f"the signal grows by {trend.decades:.1f} decades from `{trend.layers[0].name}` to `{last.name}` "
        f"(limit {limits['decades']:g}), {10**trend.per_layer:.2g} times a layer",
        facts={"decades": trend.decades, "gain_per_layer": 10**trend.per_layer, "depth": len(trend.layers)},
        affected=tuple(layer.name for layer in trend.layers[:-1]),
    )


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return the decades of the trend; a single step is none, and no limit holds for it."""
    trend = signal_trend(profile)
    if trend is None:
        return None
    return Reading(trend.decades, None if trend.largest_step > limits["largest-step"] else limits["decades"])


def _example(gain: float, depth: int = 20, norm_at: int = -1) -> Profile:
    kinds = ["LayerNorm" if i == norm_at else "Linear" for i in range(depth)]
    return profile_of(*(layer_of(f"net.{i}", kind, rms=gain**i) for i, kind in enumerate(kinds)))


FIRES = (lambda: _example(2.0), lambda: _example(10.0, 5))
CLEAN = (lambda: _example(1.1), lambda: _example(2.0, norm_at=18), lambda: _example(1e4, 2), lambda: _example(0.5))
