"""Replace BatchNorm by a norm that looks at one sample."""

from __future__ import annotations

import math

import torch
from torch import nn

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.modules import chosen_modules, materialise

_MOST_GROUPS = 8  # chosen by us: Y. Wu, K. He (2018), table 3, lose little with 8 instead of 32


def apply(setup: Setup, edit: Edit) -> Setup:
    """Put a LayerNorm or GroupNorm of the same width, scale and shift wherever a named BatchNorm is registered.

    On feature maps [N, C, …] `layer` is GroupNorm of one group, as nn.LayerNorm wants the channels last and fixed sizes;
    `group` takes gcd(8, C) groups. A shared norm stays shared. Raises NotApplicable for the root and for other modules.
    """
    model, norm = setup.subject.model, str(edit.options["norm"])
    materialise(setup)
    outputs = {layer.name: layer.output for layer in setup.profile.layers if layer.output is not None}
    chosen = chosen_modules(model, edit.layers)
    if not chosen:
        raise NotApplicable("there is no norm to replace")
    fresh: dict[int, nn.Module] = {}
    for name, old in chosen:
        if old is model:
            raise NotApplicable("the model itself is the norm, and has no parent to replace it in")
        if not isinstance(old, nn.modules.batchnorm._BatchNorm):
            raise NotApplicable(f"`{name}` is no BatchNorm")
        if name not in outputs:
            raise NotApplicable(f"`{name}` was not called")
        fresh[id(old)] = _like(old, norm, outputs[name].shape)
    placed = {id(old): 0 for _, old in chosen}
    for parent in list(model.modules()):
        for child, module in list(parent.named_children()):
            if id(module) in fresh:
                setattr(parent, child, fresh[id(module)])
                placed[id(module)] += 1
    for name, old in chosen:
        if not placed[id(old)]:
            raise NotApplicable(f"`{name}` is not registered in a module, so it cannot be replaced there")
    return setup


def _like(old: nn.modules.batchnorm._BatchNorm, norm: str, shape: tuple[int, ...]) -> nn.Module:
    width, flat = old.num_features, len(shape) == 2
    new: nn.LayerNorm | nn.GroupNorm
    if norm == "layer" and flat:
        new = nn.LayerNorm(width, eps=old.eps, elementwise_affine=old.affine)
    elif norm in ("layer", "group"):
        groups = 1 if norm == "layer" else math.gcd(_MOST_GROUPS, width)
        if flat and groups == width:
            raise NotApplicable(f"with {width} units in {groups} groups each group holds one value, which a norm makes zero")
        new = nn.GroupNorm(groups, width, eps=old.eps, affine=old.affine)
    else:
        raise NotApplicable(f"there is no normalisation called `{norm}`")
    if old.affine:
        new.to(device=old.weight.device, dtype=old.weight.dtype)
        with torch.no_grad():
            new.weight.copy_(old.weight)
            new.bias.copy_(old.bias)
        new.weight.requires_grad_(old.weight.requires_grad)
        new.bias.requires_grad_(old.bias.requires_grad)
    return new.train(old.training)
