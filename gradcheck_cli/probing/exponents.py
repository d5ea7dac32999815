"""The histogram of log2 magnitudes, counted from the exponent bits of each number."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from gradcheck_cli.probing.summary import WIDE_BIAS, Summary

SAMPLE = 1 << 13  # elements a histogram is made from unless exact; its shares are right to two or three percentage points
FEW = 3  # below so many rows the calls for a whole block cost more than those for each row
_RUN = 16  # neighbouring elements taken together: one cache line of float32
_SHIFT = torch.tensor(23, dtype=torch.int32)  # as a tensor: a Python int would be converted on every call
_EXPONENT = torch.tensor(255, dtype=torch.int32)
_TABLES = torch.arange(0, 256 * 64, 256, dtype=torch.int32).unsqueeze(1)  # where the counts of each row of a block begin
_scratch: dict[int, tuple[Tensor, Tensor]] = {}  # buffers by length, for the few lengths up to CHUNK that a model has
_SCRATCH_LENGTHS = 256


def add_histograms(rows: Tensor, summaries: list[Summary], *, exact: bool) -> None:
    """Add the histogram of each float32 row of a contiguous [rows, n] tensor, n at most CHUNK, to its empty summary."""
    if not exact and rows.shape[1] > SAMPLE:
        rows = sample(rows).flatten(-2)
        for summary in summaries:
            summary.sampled = True
    if len(summaries) < FEW:
        for row, summary in zip(rows, summaries, strict=True):
            count_exponents(row, summary)
        return
    bits = torch.bitwise_right_shift(rows.view(torch.int32), _SHIFT).bitwise_and_(_EXPONENT).add_(_TABLES[: len(rows)])
    tables = torch.bincount(bits.view(-1), minlength=256 * len(rows)).view(-1, 256).numpy()
    tiny = tables[:, 0].copy()
    zeros = rows.shape[1] - _nonzeros(rows).numpy() if tiny.any() else tiny
    odd = ((tables[:, -1] != 0) | (tiny != zeros)).tolist()  # NaN, Inf or subnormal numbers
    tables[:, 0] = 0
    for i, (summary, zero) in enumerate(zip(summaries, zeros.tolist(), strict=True)):
        if odd[i]:
            count_exponents(rows[i], summary)
        else:
            summary.exponents, summary.looked_at, summary.zeros = tables[i], rows.shape[1], int(zero)


def count_exponents(part: Tensor, out: Summary) -> None:
    if part.dtype is torch.float32:
        bits, width, bias = _exponents32(part), 256, 127
    else:
        bits, width, bias = (part.view(torch.int64) >> 52) & 0x7FF, 2048, WIDE_BIAS
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
            out.count(torch.bincount((small.view(torch.int64) >> 52) & 0x7FF, minlength=2048).cpu().numpy(), WIDE_BIAS)
    out.count(counts, bias)


def _nonzeros(part: Tensor) -> Tensor:
    """The number of non-zero elements along the last dimension, at most CHUNK, none NaN; many times faster than counting."""
    return part.sign().abs_().sum(-1)


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
