"""How numbers are written for people."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable


def short(value: float | None, digits: int = 3) -> str:
    """Write a number with a few significant digits, and an exponent without padding: 3.24e-12, 0.25, 1.1e5, nan."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return repr(value)
    text = f"{value:.{digits}g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.{digits - 1}e}"
    return re.sub(r"e([+-])0*(\d)", lambda m: f"e{'-' if m[1] == '-' else ''}{m[2]}", text)


def counted(count: int) -> str:
    """Write a number of parameters: 980, 84 k, 25.6 M, 1.2 G."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def shape(sizes: Iterable[int]) -> str:
    """Write a shape as 64×32; a scalar is "scalar"."""
    return "×".join(map(str, sizes)) or "scalar"


def log10(value: float | None) -> float:
    """Return the decimal logarithm; -inf for zero, nan where there is no usable number."""
    if value is None or math.isnan(value) or value < 0:
        return math.nan
    if value == 0:
        return -math.inf
    return math.inf if math.isinf(value) else math.log10(value)
