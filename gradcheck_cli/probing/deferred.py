"""Reduce many small tensors a block at a time, where the fixed cost of each call outweighs the reading.

A small tensor is copied at once, as the model may edit it in place later; copies of one shape share a block of memory, and
a block is reduced when it is full. What is out of the ordinary (NaN, the ends of float32) is left to `statistics`, row by row.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gradcheck_cli.probing.exponents import add_histograms, sample
from gradcheck_cli.probing.statistics import add_norms, summarise
from gradcheck_cli.probing.summary import Summary
from gradcheck_cli.probing.units import dead_fractions
from gradcheck_cli.probing.variation import variations

LARGEST = 1 << 14  # elements; a larger tensor is reduced on the spot
_BLOCKS, _ROWS, _ELEMENTS = 8, 32, 1 << 16  # a block of more elements is no faster, and counts among the peak memory


class Wanted(NamedTuple):
    """What is reduced of a tensor."""

    norm: bool = True
    histogram: bool = False
    variation: bool = False  # between the samples, dimension 0
    unit_dim: int | None = None  # look for dead units along this dimension


@dataclass(slots=True)
class _Block:
    memory: Tensor  # [_ELEMENTS]
    values: Tensor  # [rows, *shape], a view of it
    capacity: int
    summaries: list[Summary] = field(default_factory=list)


_Key = tuple[torch.Size, Wanted]


class Deferred:
    """`summarise` whose results hold shape and type at once, and numbers after `flush`; for use under `no_grad`."""

    def __init__(self, *, exact: bool) -> None:
        self.exact = exact
        # All at once and here: what is made inside the model's own `inference_mode` could not be written to later.
        self._free = list(torch.empty(_BLOCKS, _ELEMENTS, dtype=torch.float32, device="cpu").unbind())
        self._blocks: dict[_Key, _Block] = {}
        self._lock = threading.Lock()

    def summarise(self, tensor: Tensor, *, histogram: bool = True, peak: bool = True) -> Summary:
        """As `statistics.summarise`."""
        if is_small(tensor):
            return self.add(tensor, _WITH_HISTOGRAM if histogram else _NORM)
        if not histogram or self.exact or tensor.numel() <= LARGEST or not (_is_ordinary(tensor) and tensor.is_contiguous()):
            return summarise(tensor, histogram=histogram, exact=self.exact, peak=peak)
        summary = summarise(tensor, histogram=False, peak=peak)
        summary.sampled = True
        self._queue(sample(tensor.detach().view(-1)), _HISTOGRAM_ALONE, summary)
        return summary

    def add(self, tensor: Tensor, wanted: Wanted) -> Summary:
        """Queue a small tensor."""
        summary = Summary(shape=tuple(tensor.shape), dtype="float32", numel=tensor.numel())
        self._queue(tensor, wanted, summary)
        return summary

    def flush(self) -> None:
        """Fill in every summary that is still without numbers; the memory already touched is used again first."""
        with self._lock:
            while self._blocks:
                self._close()

    def _queue(self, values: Tensor, wanted: Wanted, summary: Summary) -> None:
        key = values.shape, wanted
        with self._lock:
            block = self._blocks.get(key) or self._open(key)
            block.values[len(block.summaries)].copy_(values)
            block.summaries.append(summary)
            if len(block.summaries) == block.capacity:
                self._reduce(block, wanted)

    def _open(self, key: _Key) -> _Block:
        if not self._free:
            self._close()
        memory, size = self._free.pop(), key[0].numel()
        rows = min(_ELEMENTS // size, _ROWS)
        values = memory[: rows * size].view(rows, *key[0])
        block = self._blocks[key] = _Block(memory, values, rows)
        return block

    def _close(self) -> None:
        """Give back the memory of the block longest in use."""
        key = next(iter(self._blocks))
        block = self._blocks.pop(key)
        self._reduce(block, key[1])
        self._free.append(block.memory)

    def _reduce(self, block: _Block, wanted: Wanted) -> None:
        """Fill in a block's summaries, and leave it empty."""
        summaries, block.summaries = block.summaries, []
        if not summaries:
            return
        values = block.values[: len(summaries)]
        rows = values.view(len(summaries), -1)
        if wanted.norm:
            add_norms(rows, summaries)
        if wanted.histogram:
            add_histograms(rows, summaries, exact=self.exact)
        if wanted.variation:
            for summary, variation in zip(summaries, variations(values.flatten(2)), strict=True):
                summary.variation = variation
        if wanted.unit_dim is not None:
            for summary, dead in zip(summaries, dead_fractions(values, wanted.unit_dim + 1), strict=True):
                summary.dead_units = dead


_NORM, _WITH_HISTOGRAM, _HISTOGRAM_ALONE = Wanted(), Wanted(histogram=True), Wanted(norm=False, histogram=True)


def is_small(tensor: Tensor) -> bool:
    """True for an ordinary tensor of few elements."""
    return 0 < tensor.numel() <= LARGEST and _is_ordinary(tensor)


def _is_ordinary(tensor: Tensor) -> bool:
    return (
        type(tensor) in (Tensor, nn.Parameter)
        and tensor.dtype is torch.float32
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and not tensor.is_nested
    )
