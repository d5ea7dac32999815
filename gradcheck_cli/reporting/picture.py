"""A gradient as a row of blocks, and one number as a bar: both on a scale of decades."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_LONGEST = 60  # columns; longer rows are binned by their mean
_LEAST_SPAN = 4.0  # decades; a healthy gradient must look flat, so a small range is not stretched over the whole height

# Along the spine 85 % of healthy published networks stay within 1.7 decades, 97 % within 3.
USUAL, RARE = 1.7, 3.0


def binned(values: Sequence[float], most: int = _LONGEST) -> list[float]:
    """Shorten a row to `most` values: each the mean of its finite neighbours, or what they are when none is finite."""
    if len(values) <= most:
        return list(values)
    edges = [round(i * len(values) / most) for i in range(most + 1)]
    return [_mean(values[a:b]) for a, b in itertools.pairwise(edges)]


def _mean(values: Sequence[float]) -> float:
    finite = [v for v in values if math.isfinite(v)]
    return math.fsum(finite) / len(finite) if finite else values[0]


def span(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and highest decade to draw: what the finite values need, and at least four decades."""
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return 0.0, _LEAST_SPAN
    high = max(finite)
    return min(min(finite), high - _LEAST_SPAN), high


def blocks(values: Sequence[float]) -> str:
    """Draw decades as a row of blocks: blank for exactly zero, "?" for NaN, "!" for infinite."""
    low, high = span(values)
    return "".join(_block(v, low, high) for v in values)


def _block(value: float, low: float, high: float) -> str:
    if math.isnan(value):
        return "?"
    if math.isinf(value):
        return "!" if value > 0 else " "
    return BLOCKS[min(int((value - low) / (high - low) * len(BLOCKS)), len(BLOCKS) - 1)]


def bar(value: float, low: float, high: float, cells: int, *, fine: bool) -> str:
    """Draw one value as a bar of at most `cells` cells; what is not zero has at least an eighth of a cell."""
    if not math.isfinite(value):
        return ""
    eighths = max(1, round((value - low) / (high - low) * cells * 8))
    if not fine:
        return "█" * max(1, round(eighths / 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8]


def hue(value: float, reference: float) -> str:
    """Colour a value by its distance in decades from the loss's end: a second carrier of what the height shows."""
    distance = abs(value - reference)
    if not math.isfinite(distance) or distance > RARE:
        return "red"
    return "yellow" if distance > USUAL else "green"
