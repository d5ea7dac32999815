"""In float16 the gradient falls below what the format can hold.

What it measures
For a model that computes in float16: the share of non-zero gradient values below 2^-20, where fewer than five bits are
left and what is a little smaller has already become zero; and what would still be lost at the largest loss scale that
does not overflow. Both over the whole gradient and for the layer with weights that is worst off. For other types the
forecast stands in the report and raises nothing.

Why it matters
Values below 2^-25 become zero, silently: the parts of the network with small gradients stop learning.

Limits and where they come from
`lost` 0.25 (share of non-zero gradient values): without loss scaling a detector lost 31 % of its gradient values and
diverged (Micikevicius 2018, section 3.2); from `lost-error` 0.5 on it is an error. `lost-in-a-layer` 0.5: such a layer
learns from a few large values only.
`lost-at-best-scale` 0.05: what loss scaling cannot mend.

When it is wrong
When the training script scales the loss and the scan does not see that (`GradScaler`): then this says what the scaling is
for. This rule is about one scale of the loss by nature.

What to do
Scale the loss (`torch.amp.GradScaler`), train in bfloat16, or keep the weights in float32 and use autocast.

References
P. Micikevicius et al., "Mixed Precision Training" (2018).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Histogram, Limit, PrecisionForecast, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, profile_of, stats_of
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC503",
    name="half-precision-underflow",
    summary="In float16 the gradient falls below what the format can hold.",
    severity="warning",
    limits=(
        Limit(name="lost", value=0.25, unit="share of non-zero gradient values below 2^-20", source="Micikevicius 2018: 31 %"),
        Limit(name="lost-error", value=0.5, unit="share of non-zero gradient values below 2^-20", source="chosen by us: most"),
        Limit(
            name="lost-in-a-layer",
            value=0.5,
            unit="share of a layer's non-zero gradient values below 2^-20",
            source="chosen by us",
        ),
        Limit(
            name="lost-at-best-scale",
            value=0.05,
            unit="share of non-zero gradient values",
            source="loss scaling mends the rest",
        ),
    ),
    hides=("GC101", "GC105", "GC401", "GC403"),
)
CONFIRM = "repeats"
EFFECT = Quantity("gradient values lost", "share")
_FAINT = -20  # exponent: float16 has 10 bits from 2^-14 on, one less for each power of two below


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    if not _is_half(profile):
        return
    forecast = _forecast(profile)
    faint, worst, most = _faint_share(profile)
    stuck = forecast is not None and forecast.scaled_underflow > limits["lost-at-best-scale"]
    if faint < limits["lost"] and most < limits["lost-in-a-layer"] and not stuck:
        return
    scale = forecast.loss_scale if forecast else None
    remedy = f"; a loss scale of {scale:g} would lift it" if scale and scale > 1 and not stuck else ""
    yield Finding(
        code="GC503",
        severity="error" if stuck or faint > limits["lost-error"] else "warning",
        layer=worst,
        message=f"in float16, {faint:.0%} of the non-zero gradient values lie below 2^{_FAINT} (limit {limits['lost']:.0%}), "
        f"at `{worst}` {most:.0%}{remedy}",
        facts={"lost": faint, "loss_scale": scale, "mended_by_scaling": not stuck, "scope": "model"},
    )


def measure(profile: Profile, finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return the share that raised the finding: over all, in one layer, or at the best loss scale; None in other formats."""
    if not _is_half(profile):
        return None
    faint, _, most = _faint_share(profile)
    if not finding.facts["mended_by_scaling"]:
        forecast = _forecast(profile)
        return Reading(forecast.scaled_underflow, limits["lost-at-best-scale"]) if forecast else None
    if finding.facts["lost"] < limits["lost"]:
        return Reading(most, limits["lost-in-a-layer"])
    return Reading(faint, limits["lost"])


def _is_half(profile: Profile) -> bool:
    return profile.dtype.endswith("float16") and not profile.dtype.endswith("bfloat16")


def _forecast(profile: Profile) -> PrecisionForecast | None:
    return next((f for f in profile.precision if f.dtype == "float16"), None)


def _faint_share(profile: Profile) -> tuple[float, str, float]:
    """Return the share over all layers' gradients, the layer with weights whose share is largest, and that share."""
    faint = total = most = 0.0
    worst = ""
    for layer in profile.layers:
        histogram = layer.gradient.histogram if layer.gradient else None
        if histogram is None or not layer.leaf or not (nonzero := sum(histogram.counts)):
            continue
        share = histogram.share_below(_FAINT) * histogram.total / nonzero
        weight = layer.gradient.numel * nonzero / histogram.total if layer.gradient else 0.0
        faint, total = faint + share * weight, total + weight
        if share > most and layer.parameters:
            most, worst = share, layer.name
    return (faint / total if total else 0.0), worst, most


def _example(dtype: str, exponent: int, scaled: float = 0.0) -> Profile:
    histogram = Histogram(first=exponent, counts=(100, 100), total=400)
    gradient = stats_of(2.0**exponent, histogram=histogram)
    layers = (
        dataclasses.replace(layer_of("net.0"), gradient=gradient),
        dataclasses.replace(layer_of("net.1"), gradient=gradient),
    )
    forecast = PrecisionForecast(
        dtype="float16", underflow_fraction=0.0, overflow_fraction=0.0, worst_layer=None, worst_underflow=0.0,
        loss_scale=2.0**15, scaled_underflow=scaled,
    )  # fmt: skip
    return profile_of(*layers, dtype=dtype, precision=(forecast,))


FIRES = (lambda: _example("float16", -23), lambda: _example("float16", -10, scaled=0.2))
CLEAN = (lambda: _example("float32", -23), lambda: _example("float16", -12), lambda: _example("bfloat16", -23))
