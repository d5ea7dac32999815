"""Reduce a tensor to a handful of numbers in about one read, without a copy of it.

The naive way (`norm`, `isnan().sum()`, `quantile`, one `.item()` each) reads a tensor a hundred times and is wrong at
the extremes: the float32 norm of 1e-24s is 0, the norm of 1e20s is inf. Here each chunk that fits the second-level
cache is read by a dot product and an `aminmax`; only a chunk outside float32's safe range is done again in float64.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from gradcheck_cli.probing.exponents import FEW, SAMPLE, count_exponents, sample
from gradcheck_cli.probing.summary import Summary

CHUNK = 1 << 17  # elements a pass; flat from 2^16 to 2^19, page faults dominate above
_SAFE_LOW, _SAFE_HIGH = 1e-15, 1e15  # abs-max between which squares and their sums stay inside float32
_HALF_MAX = 65504.0  # the largest number of float16
_NORMAL_LOW, _NORMAL_HIGH = 1e-37, 1e37  # abs-max whose reciprocal float32 holds
_PLAIN = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


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
            _reduce(part, out, mean=mean)
        if histogram and whole:
            count_exponents(part, out)
    if not peak:
        _sampled_peak(flat, out)
    if histogram and not whole:
        out.sampled = True
        count_exponents(_widen(sample(flat).flatten()), out)
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


def _reduce(part: Tensor, out: Summary, *, mean: bool) -> None:
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


def add_norms(rows: Tensor, summaries: list[Summary]) -> None:
    """Fill in L2 and largest magnitude of each float32 row of a [rows, n] tensor, n at most CHUNK."""
    if len(summaries) < FEW:
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
