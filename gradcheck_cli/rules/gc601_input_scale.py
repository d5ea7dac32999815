"""The input is far from the scale that a network is initialised for.

What it measures
The RMS of each floating input that some layer really reads at that size (a model that divides by 255 itself is fine, and
so are positions that only distances are computed from), and the RMS of the largest feature over the median feature's.

Why it matters
All usual initialisations assume inputs of size one. Pixels from 0 to 255 start every first-layer gradient and output a
hundred times too large; one feature in other units than the rest decides alone what the network sees.

Limits and where they come from
`rms` 10: standardised inputs have 1, pixels from 0 to 1 have 0.6, raw pixels 147; an error from `rms-error` 50 on.
`feature-ratio` 100: standardised features stay below 3 of each other.

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

from gradcheck_cli.records import Finding, InputProfile, LayerProfile, Limit, ParameterProfile, Profile, Rule
from gradcheck_cli.rules.examples import input_of, layer_of, parameter_of, profile_of
from gradcheck_cli.rules.paths import leaves
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC601",
    name="unscaled-input",
    summary="The input is far from the scale that a network is initialised for.",
    severity="warning",
    limits=(
        Limit(name="rms", value=10.0, unit="RMS of an input", source="standardised 1, pixels in 0..1 0.6, in 0..255 147"),
        Limit(name="rms-error", value=50.0, unit="RMS of an input", source="chosen by us: raw pixels are above it"),
        Limit(name="feature-ratio", value=100.0, unit="largest over median feature RMS", source="standardised below 3"),
    ),
    hides=("GC201", "GC202", "GC203", "GC204", "GC301", "GC602"),
)
CONFIRM = "repeats"
_LARGE_RMS = 1.0  # of an input of which one feature drowns the others
_FEWEST = 8  # values
EFFECT = Quantity("input scale", "", log=True)


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    if _normalised_first(profile):
        return
    for tensor in profile.batch:
        if not _is_judged(tensor):
            continue
        rms, ratio = tensor.stats.rms, tensor.feature_scale_ratio or 1.0
        lopsided = limits["feature-ratio"] < ratio < math.inf and rms > _LARGE_RMS
        if (rms > limits["rms"] or lopsided) and _is_read(profile, tensor):
            yield _finding(tensor, ratio if lopsided else None, limits)


def measure(profile: Profile, finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return the RMS of the input, or of its largest feature over the median one; no limit holds where nothing reads it."""
    tensors = [t for t in profile.batch if t.name == finding.facts["input"]] or list(profile.batch)
    if not tensors:
        return None
    lopsided = finding.facts["problem"] == "feature"
    values = {t.name: (t.feature_scale_ratio or 1.0) if lopsided else t.stats.rms for t in tensors}
    worst = max(tensors, key=lambda t: values[t.name])
    judged = not _normalised_first(profile) and _is_judged(worst) and _is_read(profile, worst)
    silent = not judged or (lopsided and worst.stats.rms <= _LARGE_RMS)
    return Reading(values[worst.name], None if silent else limits["feature-ratio" if lopsided else "rms"])


def _is_judged(tensor: InputProfile) -> bool:
    stats = tensor.stats
    return tensor.floating and not stats.nonfinite and len(stats.shape) >= 2 and stats.numel >= _FEWEST


def _normalised_first(profile: Profile) -> bool:
    """LayerNorm does not count: it keeps what one feature has more than the others."""
    first = next((x for x in leaves(profile) if x.role in ("norm", "linear", "embedding", "recurrent", "attention")), None)
    return first is not None and ("BatchNorm" in first.kind or "InstanceNorm" in first.kind)


def _is_read(profile: Profile, tensor: InputProfile) -> bool:
    """Say whether a layer reads the input at this size: one whose weight fits its features and whose output is as large.

    What a linear layer reads has RMS output / (weight RMS · √fan-in). A recurrent layer that fits is believed to read the
    input as it is, and so is a model without any linear layer (all functional). Positions that only distances are
    computed from, or times that are turned into waves, fit no weight.
    """
    weights = {p.layer: p for p in profile.parameters if p.role == "weight" and p.fan_in and p.value.rms > 0}
    linear = [x for x in leaves(profile) if x.role == "linear" and x.output and x.name in weights]
    recurrent = [x for x in leaves(profile) if x.role == "recurrent" and x.name in weights]
    if any(_fits(weights[x.name], tensor, profile) for x in recurrent):
        return True
    reads = [_read(x, weights[x.name]) for x in linear if _fits(weights[x.name], tensor, profile)]
    return any(tensor.stats.rms / 4 < read < 4 * tensor.stats.rms for read in reads) or not (linear or recurrent)


def _read(layer: LayerProfile, weight: ParameterProfile) -> float:
    return layer.output.rms / (weight.value.rms * math.sqrt(weight.fan_in or 1)) if layer.output else 0.0


def _fits(weight: ParameterProfile, tensor: InputProfile, profile: Profile) -> bool:
    """Compare the weight's inputs with a dimension, all of a sample, square patches, or all inputs side by side."""
    into, shape = weight.value.shape[1], tensor.stats.shape
    together = sum(t.stats.shape[-1] for t in profile.batch if t.floating and len(t.stats.shape) > 1)
    side = math.isqrt(into // shape[1]) if len(shape) == 4 else 0
    return into in shape[1:] or into in (math.prod(shape[1:]), together) or (side > 0 and into == shape[1] * side * side)


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
        severity="error" if ratio is None and rms > limits["rms-error"] else "warning",
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
    parameters = (parameter_of("b.weight", rms=0.58 / math.sqrt(32), shape=(64, 32)),)
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
    lambda: _example(20.0, shape=(16, 12, 3)),  # positions of atoms; the layer that reads 32 features gets something else
)
