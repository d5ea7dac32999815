"""Forecast what the measured gradients would lose in half precision."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gradcheck_cli.records import LayerProfile, ParameterProfile, PrecisionForecast, TensorStats

# (type, exponent below which a value rounds to zero, exponent from which it overflows)
_FORMATS = (("float16", -25, 16), ("bfloat16", -134, 128))


def forecast_precision(layers: Iterable[LayerProfile], parameters: Iterable[ParameterProfile]) -> tuple[PrecisionForecast, ...]:
    """Shares of non-zero gradient values that fp16 and bf16 would flush or overflow, and the loss scale that mends it.

    fp16 keeps subnormals down to 2^-24, so what is below 2^-25 rounds to zero; its largest number is just under 2^16.
    """
    layers = list(layers)
    gradients = [(x.name, x.gradient) for x in layers if x.gradient] + [(p.name, p.gradient) for p in parameters if p.gradient]
    found = [(name, g, count) for name, g in gradients if (count := _nonzero(g))]
    largest = max((g.abs_max for _, g, _ in found if math.isfinite(g.abs_max)), default=0.0)
    forward = max((x.output.abs_max for x in layers if x.output is not None), default=0.0)
    return tuple(_forecast(name, low, high, found, largest, forward) for name, low, high in _FORMATS) if found else ()


def _forecast(
    dtype: str, low: int, high: int, gradients: list[tuple[str, TensorStats, float]], largest: float, forward: float
) -> PrecisionForecast:
    # One power of two of head room: gradients of the next steps are not exactly those of this one.
    room = high - 1 - math.ceil(math.log2(largest)) if largest > 0 else 0
    shares = {name: _share(g, low) for name, g, _ in gradients}
    worst = max(shares, key=lambda n: shares[n])
    total = sum(count for _, _, count in gradients)
    now = sum(shares[name] * count for name, _, count in gradients) / total
    scaled = sum(_share(g, low - room) * count for _, g, count in gradients) / total
    over = sum(g.histogram.share_from(high) * g.numel for _, g, _ in gradients if g.histogram) / total
    return PrecisionForecast(
        dtype=dtype,
        underflow_fraction=now,
        overflow_fraction=over,
        worst_layer=worst if shares[worst] > 0 else None,
        worst_underflow=shares[worst],
        loss_scale=2.0**room if abs(room) < 1000 else None,
        scaled_underflow=scaled,
        forward_overflow=forward >= 2.0**high,
    )


def _nonzero(stats: TensorStats) -> float:
    """How many of the tensor's values are neither zero nor NaN or infinite."""
    found = stats.histogram
    return stats.numel * sum(found.counts) / found.total if found is not None and found.total else 0.0


def _share(stats: TensorStats, exponent: int) -> float:
    assert stats.histogram is not None
    nonzero = sum(stats.histogram.counts)
    return stats.histogram.share_below(exponent) * stats.histogram.total / nonzero if nonzero else 0.0
