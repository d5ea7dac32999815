"""The input is far from the scale that a network is initialised for.

What it measures
The RMS of each floating input that some linear layer really reads at that size (a model that divides by 255 itself is
fine), and the RMS of the largest feature over the median feature's.

Why it matters
All usual initialisations assume inputs of size one. Pixels from 0 to 255 start every first-layer gradient and output a
hundred times too large; one feature in other units than the rest decides alone what the network sees.

Limits and where they come from
`rms` 10: standardised inputs have 1, pixels from 0 to 1 have 0.6, raw pixels 147. `feature-ratio` 100: standardised
features stay below 3 of each other.

When it is wrong
Inputs that are normalised inside the model are passed over: a BatchNorm or InstanceNorm first, or a first linear layer
whose output is too small for the raw input. So are scalars for each sample (time steps) and whole-number inputs.

What to do
Standardise each feature with the training set's mean and standard deviation; divide pixels by 255; take logarithms of
quantities that span decades.

References
Y. LeCun et al., "Efficient BackProp" (1998), section 4.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gradcheck_cli.records import Finding, InputProfile, Limit, Profile, Rule
from gradcheck_cli.rules.examples import input_of, layer_of, parameter_of, profile_of
from gradcheck_cli.rules.paths import leaves, weights_of

RULE = Rule(
    code="GC601",
    name="unscaled-input",
    summary="The input is far from the scale that a network is initialised for.",
    severity="warning",
    limits=(
        Limit(name="rms", value=10.0, unit="RMS of an input", source="standardised 1, pixels in 0..1 0.6, in 0..255 147"),
        Limit(name="feature-ratio", value=100.0, unit="largest over median feature RMS", source="standardised below 3"),
    ),
    hides=("GC201", "GC202", "GC203", "GC204", "GC301", "GC602", "GC607"),
)
CONFIRM = "repeats"


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    if _normalised_first(profile):
        return
    for tensor in profile.batch:
        if not tensor.floating or tensor.stats.nonfinite or len(tensor.stats.shape) < 2 or tensor.stats.numel < 8:
            continue
        rms, ratio = tensor.stats.rms, tensor.feature_scale_ratio or 1.0
        lopsided = limits["feature-ratio"] < ratio < math.inf and rms > 1.0
        if (rms > limits["rms"] or lopsided) and _is_read(profile, rms):
            yield _finding(tensor, ratio if lopsided else None, limits)


def _normalised_first(profile: Profile) -> bool:
    """LayerNorm does not count: it keeps what one feature has more than the others."""
    first = next((x for x in leaves(profile) if x.role in ("norm", "linear", "embedding", "recurrent", "attention")), None)
    return first is not None and ("BatchNorm" in first.kind or "InstanceNorm" in first.kind)


def _is_read(profile: Profile, rms: float) -> bool:
    """Say whether some linear layer's output is as large as this input makes it: what a layer reads is output / weight gain.

    Without one linear layer with a measured output (functional models) the input is believed to be read as it is.
    """
    weights = weights_of(profile)
    known = [
        x.output.rms / (weights[x.name].value.rms * math.sqrt(weights[x.name].fan_in or 1))
        for x in leaves(profile)
        if x.role == "linear" and x.output and x.name in weights and weights[x.name].value.rms > 0
    ]
    return not known or any(rms / 4 < read < 4 * rms for read in known)


def _finding(tensor: InputProfile, ratio: float | None, limits: Mapping[str, float]) -> Finding:
    rms, mean = tensor.stats.rms, tensor.stats.mean
    if ratio is not None:
        which = "" if tensor.largest_feature is None else f" {tensor.largest_feature}"
        message = (
            f"`{tensor.name}`: feature{which} is {ratio:.2g} times as large as the median feature "
            f"(limit {limits['feature-ratio']:g}) and drowns the others"
        )
    else:
        message = (
            f"`{tensor.name}` has RMS {rms:.3g} (limit {limits['rms']:g}; mean {mean:.3g}, standard deviation {tensor.std:.3g})"
        )
    pixels = tensor.stats.abs_max <= 255 and mean > 30
    return Finding(
        code="GC601",
        severity="error" if ratio is None and rms > 5 * limits["rms"] else "warning",
        layer="",
        message=message,
        facts={
            "input": tensor.name,
            "rms": rms,
            "mean": mean,
            "std": tensor.std,
            "problem": "feature" if ratio is not None else "pixels" if pixels else "scale",
            "feature": tensor.largest_feature,
        },
    )


def _example(rms: float, read: float | None = None, *, first: str = "Linear", **fields: Any) -> Profile:
    """The first layer has gain 0.58 and reads the input at RMS `read`."""
    layers = (layer_of("a", first), layer_of("b", rms=0.58 * (rms if read is None else read)))
    parameters = (parameter_of("b.weight", rms=0.58 / math.sqrt(32)),)
    return profile_of(*layers, parameters=parameters, batch=(input_of(rms=rms, **fields),))


FIRES = (
    lambda: _example(147.0, first="Conv2d"),
    lambda: _example(1.7e4, feature_scale_ratio=5e4, largest_feature=7),
)
CLEAN = (
    lambda: _example(1.0),
    lambda: _example(147.0, read=0.6),  # divided by 255 in the forward pass
    lambda: _example(147.0, first="BatchNorm2d"),
    lambda: _example(500.0, shape=(16,)),  # time steps
    lambda: _example(1.0, feature_scale_ratio=4.0),
)
