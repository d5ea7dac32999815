"""Compute in another floating-point type than float16: bfloat16 or float32."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from gradcheck_cli.loading.base import Batch
from gradcheck_cli.loading.tensor_tree import map_tensors
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup, with_subject

_FROM = {torch.bfloat16: (torch.float16,), torch.float32: (torch.float16, torch.bfloat16)}


@dataclasses.dataclass(frozen=True, slots=True)
class _Cast:
    """Casts tensors of some types, and leaves others (what the user keeps in float32, indices) as they are."""

    dtype: torch.dtype

    def __call__(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.dtype) if tensor.dtype in _FROM[self.dtype] else tensor

    def batch(self, batch: Batch) -> Batch:
        return dataclasses.replace(
            batch,
            args=map_tensors(batch.args, self),
            kwargs=map_tensors(dict(batch.kwargs), self),
            target=map_tensors(batch.target, self),
        )


def apply(setup: Setup, edit: Edit) -> Setup:
    """Cast parameters, buffers and batches that are in half precision to `dtype`."""
    dtype = getattr(torch, str(edit.options["dtype"]))
    model, cast = setup.subject.model, _Cast(dtype)
    if not any(p.dtype in _FROM[dtype] for p in model.parameters()):
        raise NotApplicable(f"no parameter is in {' or '.join(str(d).removeprefix('torch.') for d in _FROM[dtype])}")
    with torch.no_grad():
        model._apply(cast)  # type: ignore[no-untyped-call]
    return with_subject(setup, batches=tuple(cast.batch(b) for b in setup.subject.batches))
