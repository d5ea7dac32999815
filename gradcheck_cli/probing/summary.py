"""The numbers that stand for one or several tensors while they are being reduced."""

from __future__ import annotations

import copy
import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck_cli.records import Histogram, TensorStats

WIDE_BIAS = 1023  # index of exponent 0 in a count table that spans float64's exponents; float32's has 127


@dataclass(slots=True)
class Summary:
    """Running reduction of one or several tensors of the same meaning (the calls of a layer)."""

    shape: tuple[int, ...] = ()
    dtype: str = ""
    numel: int = 0
    l2: float = 0.0
    abs_max: float = 0.0
    total: float = 0.0
    nonfinite: int = 0
    exponents: npt.NDArray[np.int64] | None = None  # counts, index = exponent + `bias`
    bias: int = 127
    zeros: int = 0  # among `looked_at`
    looked_at: int = 0
    sampled: bool = False
    variation: float | None = None  # between the samples of the batch, where it was asked for; not of several calls
    dead_units: float | None = None  # share of the units, likewise

    def add(self, other: Summary) -> None:
        """Combine with another call's summary: squares add up, the maximum is kept."""
        self.shape, self.dtype = other.shape, other.dtype
        self.numel += other.numel
        self.l2 = math.hypot(self.l2, other.l2)
        self.abs_max = max(self.abs_max, other.abs_max)
        self.total += other.total
        self.nonfinite += other.nonfinite
        self.zeros += other.zeros
        self.looked_at += other.looked_at
        self.sampled |= other.sampled
        if other.exponents is not None:
            self.count(other.exponents, other.bias)

    def count(self, exponents: npt.NDArray[np.int64], bias: int) -> None:
        """Add a table of counts; float32 has one of 256 exponents, float64 of 2048."""
        if self.exponents is None:
            self.exponents, self.bias = exponents, bias
            return
        if bias != self.bias:
            self.exponents, exponents = _widest(self.exponents, self.bias), _widest(exponents, bias)
            self.bias = WIDE_BIAS
        self.exponents = self.exponents + exponents

    def l1(self) -> float | None:
        """L1 norm from the histogram: values in [2^e, 2^(e+1)) count 1.44·2^e (log-uniform), right to a few percent."""
        if self.exponents is None or not self.looked_at:
            return None
        return float(np.dot(self.exponents, _sizes(len(self.exponents), self.bias))) * self.numel / self.looked_at

    def to_stats(self) -> TensorStats:
        histogram = None
        if self.exponents is not None:
            filled = self.exponents.nonzero()[0]
            low, high = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (self.bias, self.bias)
            counts = tuple(self.exponents[low:high].tolist())
            histogram = Histogram(first=low - self.bias, counts=counts, total=self.looked_at, sampled=self.sampled)
        finite = max(self.numel - self.nonfinite, 1)
        return TensorStats(
            shape=self.shape,
            dtype=self.dtype,
            numel=self.numel,
            l2=self.l2,
            rms=self.l2 / math.sqrt(finite),
            abs_max=self.abs_max,
            mean=self.total / finite,
            zero_fraction=self.zeros / self.looked_at if self.looked_at else 0.0,
            nonfinite=self.nonfinite,
            histogram=histogram,
        )


def _widest(exponents: npt.NDArray[np.int64], bias: int) -> npt.NDArray[np.int64]:
    table = np.zeros(2048, dtype=np.int64)
    table[WIDE_BIAS - bias : WIDE_BIAS - bias + len(exponents)] = exponents
    return table


@functools.cache
def _sizes(length: int, bias: int) -> npt.NDArray[np.float64]:
    """What a value counts in L1 by its exponent; the last one is that of NaN and Inf, which no table counts."""
    return np.append(np.ldexp(1.4427, np.arange(length - 1) - bias), 0.0)


def combined(summaries: list[Summary]) -> Summary | None:
    """The sum of several; None of none."""
    if len(summaries) < 2:
        return summaries[0] if summaries else None
    total = copy.copy(summaries[0])
    for summary in summaries[1:]:
        total.add(summary)
    return total
