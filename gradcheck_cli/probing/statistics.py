"""Reduce a tensor to a handful of numbers in about one read, without a copy of it.

The naive way (`norm`, `isnan().sum()`, `quantile`, one `.item()` each) reads a tensor a hundred times and is wrong at
the extremes: the float32 norm of 1e-24s is 0, the norm of 1e20s is inf. Here each chunk that fits the second-level
cache is read by a dot product and an `aminmax`; only a chunk outside float32's safe range is done again in float64.
"""

from __future__ import annotations

import copy
import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradcheck_cli.records import Histogram, TensorStats

CHUNK = 1 << 17  # elements a pass; flat from 2^16 to 2^19, page faults dominate above
SAMPLE = 1 << 13  # elements a histogram is made from unless exact; its shares are right to two or three percentage points
_RUN = 16  # neighbouring elements taken together: one cache line of float32
_SAFE_LOW, _SAFE_HIGH = 1e-15, 1e15  # abs-max between which squares and their sums stay inside float32
_HALF_MAX = 65504.0  # the largest number of float16
_NORMAL_LOW, _NORMAL_HIGH = 1e-37, 1e37  # abs-max whose reciprocal float32 holds
_WIDE_BIAS = 1023  # index of exponent 0 in a count table that spans float64's exponents; float32's has 127
_PLAIN = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


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
            self.bias = _WIDE_BIAS
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


def as_dense(tensor: Tensor) -> Tensor | None:
    """The values of any kind of tensor as a strided real one; None where there are none to read (meta, quantised)."""
    tensor = tensor.detach()
    if tensor.is_meta or tensor.is_quantized:
        return None
    if hasattr(tensor, "full_tensor"):  # DTensor
        tensor = tensor.full_tensor()
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce().values()
    elif tensor.is_mkldnn:
        tensor = tensor.to_dense()
    elif tensor.layout is not torch.strided:
        tensor = tensor.values()
    elif tensor.is_nested:
        tensor = torch.cat([t.reshape(-1) for t in tensor.unbind()])
    return tensor.abs() if tensor.is_complex() else tensor


def summarise(tensor: Tensor, *, histogram: bool = True, mean: bool = False, exact: bool = False, peak: bool = True) -> Summary:
    """Reduce a tensor. L2 is right to 1e-4 over the whole range of its type; non-finite values are counted and left out.

    `exact` makes the histogram from every element instead of at most `SAMPLE`. Zeros are counted where the histogram looked.
    Without `peak` the largest magnitude of a big tensor comes from a sample, unless half precision could overflow: that
    saves more than half of the reading.
    """
    out = Summary(shape=_shape(tensor), dtype=_dtype_name(tensor.dtype))
    plain = tensor.layout is torch.strided and tensor.dtype in _PLAIN and not tensor.is_nested and not tensor.is_meta
    dense = tensor.detach() if plain and not hasattr(tensor, "full_tensor") else as_dense(tensor)
    if dense is None or dense.numel() == 0:
        return out
    flat = dense.reshape(-1)
    size = out.numel = flat.numel()
    whole = exact or size <= SAMPLE
    peak = peak or size <= CHUNK
    for part in (flat,) if size <= CHUNK else torch.split(flat, CHUNK):
        part = _widen(part)
        if peak or not _norm_alone(part, out):
            _reduce(part, out, mean)
        if histogram and whole:
            _count_exponents(part, out)
    if not peak:
        _sampled_peak(flat, out)
    if histogram and not whole:
        out.sampled = True
        _count_exponents(_widen(sample(flat).flatten()), out)
    return out


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """The shape; -1 for the dimensions of a nested tensor that differ from row to row, or may."""
    if not tensor.is_nested:
        return tuple(tensor.shape)
    return (tensor.size(0), *(-1 for _ in range(tensor.ndim - 1)))


@functools.cache
def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _widen(part: Tensor) -> Tensor:
    """As float32 or float64, and contiguous: the dot product of an expanded scalar is summed up one by one and off by 1e-3."""
    return (part if part.dtype is torch.float32 or part.dtype is torch.float64 else part.to(torch.float32)).contiguous()


def _norm_alone(part: Tensor, out: Summary) -> bool:
    """Add a part's L2 norm by one dot product; False if that says NaN or Inf or comes near the ends of float32."""
    squares = torch.dot(part, part).item()
    if not _SAFE_LOW**2 < squares < _SAFE_HIGH**2:
        return False
    out.l2 = math.hypot(out.l2, math.sqrt(squares))
    return True


def _sampled_peak(flat: Tensor, out: Summary) -> None:
    looked_at = flat if out.l2 >= _HALF_MAX else sample(flat)  # no element is larger than the L2 norm
    low, high = torch.aminmax(looked_at)
    largest = max(-float(low), float(high))
    if math.isfinite(largest):
        out.abs_max = max(out.abs_max, largest)


def _reduce(part: Tensor, out: Summary, mean: bool) -> None:
    low, high = torch.aminmax(part)  # NaN and Inf show up in these two, so nothing has to be tested element by element
    lowest, highest = low.item(), high.item()
    largest = max(-lowest, highest)
    if _SAFE_LOW < largest < _SAFE_HIGH:
        l2 = math.sqrt(torch.dot(part, part).item())
    elif largest == 0.0:
        return
    elif _NORMAL_LOW < largest < _NORMAL_HIGH:  # its squares would leave float32's range, the values over their largest do not
        scaled = part * (1.0 / largest)
        l2 = largest * math.sqrt(torch.dot(scaled, scaled).item())
    else:
        part = part.double()
        if not math.isfinite(lowest + highest):
            finite = part[torch.isfinite(part)]
            out.nonfinite += part.numel() - finite.numel()
            part = finite
            largest = part.abs().max().item() if part.numel() else 0.0
        scaled = part / largest if largest else part
        l2 = largest * math.sqrt(torch.dot(scaled, scaled).item())
    out.l2 = math.hypot(out.l2, l2) if out.l2 else l2
    if largest > out.abs_max:
        out.abs_max = largest
    if mean:
        out.total += part.sum().item()


def _count_exponents(part: Tensor, out: Summary) -> None:
    if part.dtype is torch.float32:
        bits, width, bias = _exponents32(part), 256, 127
    else:
        bits, width, bias = (part.view(torch.int64) >> 52) & 0x7FF, 2048, _WIDE_BIAS
    counts = torch.bincount(bits, minlength=width).cpu().numpy()
    strange, tiny = counts[-1], counts[0]  # NaN and Inf have the last exponent; zeros and subnormals share the lowest
    out.looked_at += part.numel()
    if strange:
        out.looked_at -= int(strange)
        counts[-1] = 0
    if tiny:
        zeros = part.numel() - int((torch.count_nonzero(part) if strange else _nonzeros(part)).item())
        out.zeros += zeros
        counts[0] = 0 if width == 256 else tiny - zeros
        if width == 256 and tiny > zeros:  # float64 holds float32's subnormals as normal numbers
            small = part.double()[(part != 0) & (part.abs() < 2.0**-126)]
            out.count(torch.bincount((small.view(torch.int64) >> 52) & 0x7FF, minlength=2048).cpu().numpy(), _WIDE_BIAS)
    out.count(counts, bias)


def _nonzeros(part: Tensor) -> Tensor:
    """The number of non-zero elements along the last dimension, at most CHUNK, none NaN; many times faster than counting."""
    return part.sign().abs_().sum(-1)


def add_norms(rows: Tensor, summaries: list[Summary]) -> None:
    """Fill in L2 and largest magnitude of each float32 row of a [rows, n] tensor, n at most CHUNK."""
    if len(summaries) < _FEW:
        for row, summary in zip(rows, summaries, strict=True):
            _reduce(row, summary, mean=False)
        return
    peaks = torch.maximum(rows.amax(1), -rows.amin(1)).tolist()
    scales = [1.0 if _SAFE_LOW < p < _SAFE_HIGH or not _NORMAL_LOW < p < _NORMAL_HIGH else p for p in peaks]
    if any(scale != 1.0 for scale in scales):
        rows = rows / torch.tensor(scales, dtype=torch.float32).unsqueeze(1)
    norms = torch.linalg.vector_norm(rows, dim=1).tolist()
    for i, summary in enumerate(summaries):
        if scales[i] != 1.0 or _SAFE_LOW < peaks[i] < _SAFE_HIGH:
            summary.l2, summary.abs_max = scales[i] * norms[i], peaks[i]
        else:
            _reduce(rows[i], summary, mean=False)


def add_histograms(rows: Tensor, summaries: list[Summary], *, exact: bool) -> None:
    """Add the histogram of each float32 row of a contiguous [rows, n] tensor, n at most CHUNK, to its empty summary."""
    if not exact and rows.shape[1] > SAMPLE:
        rows = sample(rows).flatten(-2)
        for summary in summaries:
            summary.sampled = True
    if len(summaries) < _FEW:
        for row, summary in zip(rows, summaries, strict=True):
            _count_exponents(row, summary)
        return
    bits = torch.bitwise_right_shift(rows.view(torch.int32), _SHIFT).bitwise_and_(_EXPONENT).add_(_TABLES[: len(rows)])
    tables = torch.bincount(bits.view(-1), minlength=256 * len(rows)).view(-1, 256).numpy()
    tiny = tables[:, 0].copy()
    zeros = rows.shape[1] - _nonzeros(rows).numpy() if tiny.any() else tiny
    odd = ((tables[:, -1] != 0) | (tiny != zeros)).tolist()  # NaN, Inf or subnormal numbers
    tables[:, 0] = 0
    for i, (summary, zero) in enumerate(zip(summaries, zeros.tolist(), strict=True)):
        if odd[i]:
            _count_exponents(rows[i], summary)
        else:
            summary.exponents, summary.looked_at, summary.zeros = tables[i], rows.shape[1], int(zero)


def _widest(exponents: npt.NDArray[np.int64], bias: int) -> npt.NDArray[np.int64]:
    table = np.zeros(2048, dtype=np.int64)
    table[_WIDE_BIAS - bias : _WIDE_BIAS - bias + len(exponents)] = exponents
    return table


_SHIFT = torch.tensor(23, dtype=torch.int32)  # as a tensor: a Python int would be converted on every call
_FEW = 3  # below so many rows the calls for a whole block cost more than those for each row
_EXPONENT = torch.tensor(255, dtype=torch.int32)
_TABLES = torch.arange(0, 256 * 64, 256, dtype=torch.int32).unsqueeze(1)  # where the counts of each row of a block begin
_scratch: dict[int, tuple[Tensor, Tensor]] = {}  # buffers by length, for the few lengths up to CHUNK that a model has
_SCRATCH_LENGTHS = 256


def _exponents32(part: Tensor) -> Tensor:
    """The exponent byte of each float32 of a 1-D tensor, [n] uint8."""
    part = part.view(torch.int32)
    if part.device.type != "cpu":
        return (part >> 23).to(torch.uint8)
    buffers = _scratch.get(part.numel())
    if buffers is None:
        if len(_scratch) >= _SCRATCH_LENGTHS:
            _scratch.clear()
        buffers = torch.empty(part.numel(), dtype=torch.int32), torch.empty(part.numel(), dtype=torch.uint8)
        _scratch[part.numel()] = buffers
    shifted, low_byte = buffers
    torch.bitwise_right_shift(part, _SHIFT, out=shifted)
    return low_byte.copy_(shifted)  # the low byte is the exponent, the sign falls off


def sample(flat: Tensor) -> Tensor:
    """At most SAMPLE elements of the last dimension, a fixed choice for a given length: [..., runs, neighbours], a view.

    The step between runs shares no factor with 210, so that it does not fall in step with the usual layer widths and
    look at the same channels again and again.
    """
    runs, step = _runs(flat.shape[-1])
    return flat[..., : runs * _RUN].view(*flat.shape[:-1], runs, _RUN)[..., ::step, :]


@functools.cache
def _runs(size: int) -> tuple[int, int]:
    """How many runs there are in so many elements, and the step between those that are taken."""
    step = -(-size // SAMPLE)
    while math.gcd(step, 210) > 1:
        step += 1
    return size // _RUN, step
