"""The signal dies away from layer to layer on its way to the loss.

What it measures
The RMS of the linear layers' outputs on the way from the input to the loss, behind the last normalisation, in decades from
the first to the last.

Why it matters
An output that is a thousandth of what went in hardly depends on the input, and the gradient shrinks with the
same weights: such a chain has uniform, tiny parameter gradients that a comparison of first and last layer does not show.

Limits and where they come from
`decades` 3: PyTorch's default initialisation costs a plain eight-layer ReLU network about 1.5, because its biases keep the
signal from falling further; a standard deviation of 0.01 costs a 100 wide network one decade a layer.
`largest-step` 0.6 (share of the decay): a drop in one place is not a trend; GC301 looks at single layers.

When it is wrong
Outputs that start at zero on purpose are passed over. A head that starts small is one step and no trend.

What to do
Initialise for the activation that stands behind each layer (He for ReLU, Xavier for tanh), or normalise between blocks.

References
X. Glorot, Y. Bengio (2010); K. He et al. (2015); S. Schoenholz et al. (2017).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, profile_of
from gradcheck_cli.rules.reading import Quantity, Reading
from gradcheck_cli.rules.signal_trend import signal_trend

RULE = Rule(
    code="GC205",
    name="forward-decay",
    summary="The signal dies away from layer to layer on its way to the loss.",
    severity="warning",
    limits=(
        Limit(name="decades", value=3.0, unit="log10 of output RMS, first over last", source="healthy ones stay below 2"),
        Limit(name="largest-step", value=0.6, unit="share of the decay", source="a trend has more than one step"),
    ),
    hides=("GC203",),
)
CONFIRM = "training"
UNCONFIRMED = "silent"  # the optimizer brought the signal back within a few steps
EFFECT = Quantity("forward decay", "decades")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    trend = signal_trend(profile)
    if trend is None or -trend.decades < limits["decades"] or trend.largest_step > limits["largest-step"]:
        return
    last = trend.layers[-1]
    yield Finding(
        code="GC205",
        severity="warning",
        layer=last.name,
        site=last.site,
        message=f"the signal shrinks by {-trend.decades:.1f} decades from `{trend.layers[0].name}` to `{last.name}` "
        f"(limit {limits['decades']:g}), to {10**trend.per_layer:.2g} of its size a layer",
        facts={"decades": trend.decades, "gain_per_layer": 10**trend.per_layer, "depth": len(trend.layers)},
        affected=tuple(layer.name for layer in trend.layers[:-1]),
    )


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return the decades of the trend; a single step is none, and no limit holds for it."""
    trend = signal_trend(profile)
    if trend is None:
        return None
    return Reading(-trend.decades, None if trend.largest_step > limits["largest-step"] else limits["decades"])


def _example(*rms: float) -> Profile:
    return profile_of(*(layer_of(f"net.{i}", rms=value) for i, value in enumerate(rms)))


FIRES = (lambda: _example(*[0.1**i for i in range(10)]), lambda: _example(*[0.4**i for i in range(12)]))
CLEAN = (
    lambda: _example(1.0, 0.4, 0.2, 0.1, 0.06, 0.05, 0.05),  # default initialisation: the biases keep it up
    lambda: _example(1.0, 1.0, 1.0, 1e-5),  # a head that starts small
    lambda: _example(1.0, 1.0, 1.0, 0.0),  # a head that starts at zero
)
