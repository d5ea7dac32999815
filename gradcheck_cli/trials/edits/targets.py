"""Bring the targets of all batches to another scale, range, coding or shape."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gradcheck_cli.probing.tensors import tensors_in
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup, with_subject
from gradcheck_cli.trials.batches import with_tensors
from gradcheck_cli.trials.rescaling import moments

_OF_NUMBERS = ("mse", "l1", "huber")  # losses that read whole numbers as quantities


def apply(setup: Setup, edit: Edit) -> Setup:
    """Change every target as `how` says, with statistics of all batches together; the loss gets another unit.

    standardise: mean 0, standard deviation 1, for each column of [N, K]. range: linearly into `low` to `high`; with one
    of them infinite, to that side of the other. binary: the two values that occur become 0 and 1. shape: the output's.
    """
    how, tensors = str(edit.options["how"]), _targets(setup)
    if how in ("standardise", "range") and not tensors[0].is_floating_point() and setup.objective.kind not in _OF_NUMBERS:
        raise NotApplicable("the targets are classes, not quantities")
    if how == "range":
        values = _into_range(tensors, float(edit.options["low"]), float(edit.options["high"]))
    elif how == "shape":
        values = _reshaped(setup, tensors)
    else:
        ways: dict[str, Callable[[Sequence[Tensor]], list[Tensor]]] = {"standardise": _standardised, "binary": _binary}
        values = ways[how](tensors)
    batches = []
    for batch, tensor, new in zip(setup.subject.batches, tensors, values, strict=True):
        if any(given is tensor for given in batch.args[:1]):
            raise NotApplicable("the target is the input itself")
        batches.append(with_tensors(batch, {id(tensor): new}))
    return dataclasses.replace(with_subject(setup, batches=tuple(batches)), new_loss_scale=True)


def _targets(setup: Setup) -> list[Tensor]:
    """The one target of each batch."""
    found = [list(tensors_in(batch.target)) for batch in setup.subject.batches]
    if any(not each for each in found):
        raise NotApplicable("the batch has no target of its own: it is the input, or made inside the loss")
    if any(len(each) > 1 for each in found):
        raise NotApplicable("the batch has several targets, and which of them is meant is not known")
    return [each[0] for each in found]


def _standardised(targets: Sequence[Tensor]) -> list[Tensor]:
    first = targets[0]
    columns = 1 if first.ndim == 2 and all(t.shape[1:] == first.shape[1:] for t in targets) else None
    found = moments(targets, columns)
    return [_like(t, found.standardised(t)) for t in targets]


def _into_range(targets: Sequence[Tensor], low: float, high: float) -> list[Tensor]:
    everything = moments(targets, None)
    smallest, largest = min(t.min().item() for t in targets), max(t.max().item() for t in targets)
    if low <= smallest and largest <= high:
        raise NotApplicable(f"the targets lie between {low:g} and {high:g} already")
    if math.isfinite(high - low):
        origin, start, factor = smallest, low, (high - low) / (largest - smallest)
    else:  # one open side: unit standard deviation, the extreme value at the bound
        origin, start = (smallest, low) if math.isfinite(low) else (largest, high)
        factor = 1.0 / everything.std.item()
    return [_like(t, (t.double() - origin) * factor + start) for t in targets]


def _binary(targets: Sequence[Tensor]) -> list[Tensor]:
    values = torch.cat([t.flatten() for t in targets]).unique().tolist()  # type: ignore[no-untyped-call]
    if len(values) != 2:
        raise NotApplicable(f"the targets take {len(values)} different values, not two")
    if values == [0, 1]:
        raise NotApplicable("the targets are 0 and 1 already")
    return [(t == values[1]).to(t.dtype) for t in targets]


def _reshaped(setup: Setup, targets: Sequence[Tensor]) -> list[Tensor]:
    output = setup.profile.objective.output
    if output is None:
        raise NotApplicable("the output's shape is not known")
    shapes = [(t.shape[0], *output.shape[1:]) if t.ndim and output.shape else output.shape for t in targets]
    if any(math.prod(shape) != t.numel() for shape, t in zip(shapes, targets, strict=True)):
        raise NotApplicable(
            f"targets of shape {list(targets[0].shape)} hold not as many values as outputs of {list(shapes[0])}"
        )
    if all(tuple(shape) == tuple(t.shape) for shape, t in zip(shapes, targets, strict=True)):
        raise NotApplicable("the targets have the output's shape already")
    return [t.reshape(shape) for shape, t in zip(shapes, targets, strict=True)]


def _like(target: Tensor, values: Tensor) -> Tensor:
    return values.to(target.dtype if target.is_floating_point() else torch.get_default_dtype())
