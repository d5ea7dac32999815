"""How far the samples of a batch differ from each other in a layer's output or in the input."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SAMPLES, _COLUMNS = 64, 128  # looked at


def variation_between_samples(tensor: Tensor, batch_size: int) -> float | None:
    """RMS over the batch of (x - batch mean) / RMS of x for x [N, ...], in [0, 1].

    0 when all samples give the same output, near 1 when their mean is zero; None without a batch dimension of at least 2.
    """
    if not is_batch(tensor, batch_size) or not tensor.is_floating_point() or is_opaque(tensor):
        return None
    return variations(tensor.detach().reshape(1, batch_size, -1))[0]


def is_batch(tensor: Tensor, batch_size: int) -> bool:
    return batch_size > 1 and tensor.ndim > 1 and tensor.shape[0] == batch_size


def is_opaque(tensor: Tensor) -> bool:
    """True for a tensor that cannot be sliced and viewed like an ordinary one."""
    return tensor.layout is not torch.strided or tensor.is_nested or torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def variations(tensors: Tensor) -> list[float | None]:
    """The same of several tensors of one size, [tensors, N, columns]."""
    columns = tensors[:, :_SAMPLES, :: max(1, tensors.shape[2] // _COLUMNS)]
    columns = columns.double()  # the difference of two nearly equal squares below; torch.var_mean over rows is ten times slower
    common = columns.mean(1).square_().sum(1).tolist()
    norms = torch.linalg.vector_norm(columns, dim=(1, 2)).tolist()
    totals = [norm * norm / columns.shape[1] for norm in norms]
    return [math.sqrt(max(t - c, 0.0) / t) if 0.0 < t < math.inf else None for t, c in zip(totals, common, strict=True)]
