"""Drop the samples of batches that hold NaN or infinity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gradcheck_cli.loading.base import Batch
from gradcheck_cli.probing.objective import batch_size_of
from gradcheck_cli.probing.tensors import tensors_in
from gradcheck_cli.trials.base import NotApplicable
from gradcheck_cli.trials.batches import with_tensors


def finite_batches(batches: Sequence[Batch]) -> tuple[Batch, ...]:
    """The batches with samples removed whose inputs or targets are not all finite; batches without any left are dropped.

    Raises NotApplicable when all values are finite, when a sample is no row of a tensor, and when nothing would be left.
    """
    if all(_finite(t) for batch in batches for t in _tensors(batch)):
        raise NotApplicable("inputs and targets are finite")
    kept = tuple(b for b in (_kept(batch) for batch in batches) if b is not None)
    if not kept:
        raise NotApplicable("every sample holds NaN or infinity")
    return kept


def _kept(batch: Batch) -> Batch | None:
    tensors = _tensors(batch)
    if all(_finite(t) for t in tensors):
        return batch
    size = batch_size_of(batch)
    targets = list(tensors_in(batch.target))
    if any(isinstance(part, list) for part in (*batch.args, *batch.kwargs.values())):
        raise NotApplicable("the batch is a list of samples, which cannot be told from a list of inputs")
    if any(t.ndim > 0 and t.shape[0] != size for t in targets):
        raise NotApplicable("inputs and targets have no first dimension in common that counts the samples")
    rows = [t for t in tensors if t.layout is torch.strided and not t.is_nested and t.ndim > 0 and t.shape[0] == size]
    lost = [t for t in tensors if not _finite(t) and all(t is not r for r in rows)]
    if lost:
        raise NotApplicable("NaN or infinity stands in a tensor whose first dimension does not count the samples")
    keep = torch.stack([_finite_rows(t).cpu() for t in rows]).all(0)
    if not bool(keep.any()):
        return None
    return with_tensors(batch, {id(t): _selected(t, keep) for t in rows})


def _selected(tensor: Tensor, keep: Tensor) -> Tensor:
    """The rows to keep, as a leaf that asks for a gradient if the tensor did."""
    return tensor.detach()[keep.to(tensor.device)].requires_grad_(tensor.requires_grad)


def _finite_rows(tensor: Tensor) -> Tensor:
    return torch.isfinite(tensor.detach()).reshape(tensor.shape[0], -1).all(1)


def _finite(tensor: Tensor) -> bool:
    values = tensor.detach()
    if tensor.is_nested or tensor.layout is not torch.strided:
        values = values.values() if tensor.is_nested else values.to_dense()
    return bool(torch.isfinite(values).all())


def _tensors(batch: Batch) -> list[Tensor]:
    given: list[Any] = [list(batch.args), dict(batch.kwargs), batch.target]
    return list({id(t): t for t in tensors_in(given)}.values())
