"""Bring the inputs of all batches to a usual scale, or remove samples that are not finite."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gradcheck_cli.records import Edit, Profile
from gradcheck_cli.rules import gc601_input_scale as off_scale
from gradcheck_cli.trials.base import NotApplicable, Setup, with_subject
from gradcheck_cli.trials.batches import is_also_target, together, with_tensors
from gradcheck_cli.trials.finite_rows import finite_batches
from gradcheck_cli.trials.rescaling import moments, root_mean_square, spans_decades

_USUAL, _EVEN = 2.0, 10.0  # RMS, and largest over median feature RMS, up to which an input is left alone: chosen by us
_DECADES = 2.0  # span from which on a positive feature is read on a logarithmic scale: chosen by us
_BYTE = 255.0  # the largest value of an 8-bit pixel


def apply(setup: Setup, edit: Edit) -> Setup:
    """Change every batch as `how` says, with statistics of all batches together.

    standardise: each feature to mean 0 and standard deviation 1; features are the last dimension, or the channels.
    pixels: the same for each channel of what lies in 0 to 255, whole numbers too. feature: only the feature of index
    `feature`, by log(1 + x) if it is positive over several decades. finite: drop samples with NaN or infinity, in input
    and target alike. An input that has a usual scale stays as it is (masks, adjacencies), as do numbers for each sample,
    and those beside the ones that GC601 names, where it names any (positions that only distances are computed from).
    """
    how = str(edit.options["how"])
    if how == "finite":
        return with_subject(setup, batches=finite_batches(setup.subject.batches))
    if how == "feature":
        index = int(edit.options["feature"])
        return _changed(setup, lambda tensors: _one_feature(tensors, index))
    model = setup.subject.model
    return _changed(setup, (lambda tensors: _standardised(tensors, model)) if how == "standardise" else _pixels)


def _changed(setup: Setup, change: Callable[[list[Tensor]], list[Tensor]]) -> Setup:
    """Apply a change to each input; it returns no tensors for an input that it leaves alone."""
    batches = setup.subject.batches
    dtype = next((p.dtype for p in setup.subject.model.parameters() if p.is_floating_point()), torch.float32)
    changes: list[dict[int, Tensor]] = [{} for _ in batches]
    named = _named(setup.profile)
    for name, tensors in together(batches).items():
        meant = name in named if named else True
        values = change(tensors) if meant and all(_is_data(t) for t in tensors) else []
        if values and any(t.requires_grad for t in tensors):
            raise NotApplicable("the loss takes derivatives by the input, which other units would change")
        for table, tensor, new in zip(changes, tensors, values, strict=bool(values)):
            table[id(tensor)] = new.to(tensor.dtype if tensor.is_floating_point() else dtype)
    if not any(changes):
        raise NotApplicable("every input has a usual scale already, or is no table, sequence or image of numbers")
    pairs = list(zip(batches, changes, strict=True))
    setup = with_subject(setup, batches=tuple(with_tensors(batch, table) for batch, table in pairs))
    compared = any(is_also_target(batch, table) for batch, table in pairs)
    return dataclasses.replace(setup, new_loss_scale=setup.new_loss_scale or compared)


def _named(profile: Profile) -> set[str]:
    """The inputs that the model reads at an unusual scale."""
    limits = {limit.name: limit.value for limit in off_scale.RULE.limits}
    return {str(finding.facts["input"]) for finding in off_scale.check(profile, limits)}


def _standardised(tensors: list[Tensor], model: nn.Module) -> list[Tensor]:
    if not tensors[0].is_floating_point():
        return []
    dim = _feature_dim(tensors, model)
    sizes = root_mean_square(tensors, dim)
    overall, middle = sizes.square().mean().sqrt(), sizes[sizes > 0].median() if bool((sizes > 0).any()) else sizes.max()
    if overall <= _USUAL and sizes.max() <= _EVEN * middle:
        return []
    found = moments(tensors, dim)
    return [found.standardised(t) for t in tensors]


def _pixels(tensors: list[Tensor]) -> list[Tensor]:
    """Images are [N, C, H, W]; anything else is one channel."""
    whole = not tensors[0].is_floating_point()
    if whole and tensors[0].dtype is not torch.uint8 and tensors[0].ndim < 4:
        return []  # indices
    lowest, highest = min(t.min().item() for t in tensors), max(t.max().item() for t in tensors)
    if lowest < 0 or highest > _BYTE or highest <= _USUAL:
        return []
    shared = all(t.ndim >= 4 and t.shape[1] == tensors[0].shape[1] for t in tensors)
    scaled = [t.detach().double() / _BYTE for t in tensors]
    found = moments(scaled, 1 if shared else None)
    return [found.standardised(t) for t in scaled]


def _one_feature(tensors: list[Tensor], index: int) -> list[Tensor]:
    dim = 1 if tensors[0].ndim >= 4 else tensors[0].ndim - 1
    if not tensors[0].is_floating_point() or any(t.ndim != tensors[0].ndim or t.shape[dim] <= index for t in tensors):
        return []
    sizes = root_mean_square(tensors[:1], dim)  # of the batch that was measured
    if int(sizes.argmax()) != index or sizes.max() <= _EVEN * sizes.median():
        return []
    columns = [t.detach().double().select(dim, index) for t in tensors]
    if spans_decades(columns, _DECADES):
        columns = [c.log1p() for c in columns]
    else:
        found = moments(columns, None)
        columns = [found.standardised(c) for c in columns]
    changed = [t.detach().double().clone() for t in tensors]
    for values, column in zip(changed, columns, strict=True):
        values.select(dim, index).copy_(column)
    return changed


def _feature_dim(tensors: list[Tensor], model: nn.Module) -> int | None:
    """The last dimension; the channels of images and of what a Conv1d reads; None where batches differ in it."""
    first = tensors[0]
    channels = {m.in_channels for m in model.modules() if isinstance(m, nn.Conv1d)} if first.ndim == 3 else set()
    dim = 1 if first.ndim >= 4 or first.shape[1] in channels else first.ndim - 1
    return dim if all(t.ndim == first.ndim and t.shape[dim] == first.shape[dim] for t in tensors) else None


def _is_data(tensor: Tensor) -> bool:
    plain = tensor.layout is torch.strided and not tensor.is_nested and not tensor.is_complex()
    return plain and tensor.dtype is not torch.bool and tensor.ndim >= 2 and tensor.numel() > 0
