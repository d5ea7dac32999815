"""Mean, standard deviation and range of the same tensor in several batches, feature by feature, and values in their units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradcheck_cli.trials.base import NotApplicable

_ROUNDING = 1e-12  # of a mean in float64, over the mean


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and standard deviation for each feature in dimension `dim`, or for all values (`dim` None), in float64."""

    dim: int | None
    mean: Tensor
    std: Tensor

    def standardised(self, tensor: Tensor) -> Tensor:
        """(x - mean) / std in float64; a constant feature becomes 0."""
        return (tensor.detach().double() - self._shaped(self.mean, tensor)) / self._shaped(self.std, tensor)

    def _shaped(self, values: Tensor, tensor: Tensor) -> Tensor:
        if self.dim is None:
            return values
        return values.reshape([-1 if i == self.dim else 1 for i in range(tensor.ndim)])


def moments(tensors: Sequence[Tensor], dim: int | None) -> Moments:
    """Moments of all values together. Raises NotApplicable for NaN or infinity, and when no feature varies."""
    rows = torch.cat([_rows(t, dim) for t in tensors])
    if not bool(torch.isfinite(rows).all()):
        raise NotApplicable("the data hold NaN or infinity: they have to be removed first")
    mean = rows.mean(0)
    std = (rows - mean).square().mean(0).sqrt()
    resolution = torch.finfo(tensors[0].dtype).eps if tensors[0].is_floating_point() else 0.0
    varies = std > max(resolution, _ROUNDING) * mean.abs()  # less is nothing but rounding
    if not bool(varies.any()):
        raise NotApplicable("the values do not vary, so that there is no scale to divide by")
    return Moments(dim, mean, torch.where(varies, std, torch.ones_like(std)))


def root_mean_square(tensors: Sequence[Tensor], dim: int | None) -> Tensor:
    """RMS of each feature over all values, in float64."""
    return torch.cat([_rows(t, dim) for t in tensors]).square().mean(0).sqrt()


def spans_decades(tensors: Sequence[Tensor], at_least: float) -> bool:
    """Say whether values are nowhere negative and the positive ones span so many decades."""
    values = torch.cat([t.detach().double().flatten() for t in tensors])
    positive = values[values > 0]
    if not positive.numel() or bool((values < 0).any()):
        return False
    return math.log10(positive.max().item() / positive.min().item()) >= at_least


def _rows(tensor: Tensor, dim: int | None) -> Tensor:
    values = tensor.detach().double()
    return values.reshape(-1, 1) if dim is None else values.movedim(dim, -1).reshape(-1, values.shape[dim])
