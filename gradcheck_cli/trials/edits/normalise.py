"""Put a BatchNorm, LayerNorm or GroupNorm behind linear and convolution layers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gradcheck_cli.probing.kinds import role_of
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.modules import chosen_modules, free_name, materialise

_BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_MOST_GROUPS = 8  # chosen by us: Y. Wu, K. He (2018), table 3, lose little with 8 instead of 32


def apply(setup: Setup, edit: Edit) -> Setup:
    """Register a norm as a child of each named layer and run it on the layer's output by a forward hook.

    The layer keeps its place, type, attributes and state keys, so code that reads `layer.weight` or `layer.in_features`
    goes on working. The norm is of the layer's device and dtype.

    `batch` normalises each unit or channel over the batch and all positions: a linear layer on [N, L, C] is a convolution of
    kernel size one, and BatchNorm behind that means the N·L values of a unit. `layer` normalises the units at one position
    for a linear layer, all channels and positions of one sample for a convolution (GroupNorm of one group; Y. Wu, K. He
    2018, section 3.1). `group` takes gcd(8, C) groups. Raises NotApplicable when no named layer can take a norm.
    """
    norm = str(edit.options["norm"])
    if norm == "batch" and setup.profile.batch_size < 2:
        raise NotApplicable("BatchNorm needs at least two samples in a batch")
    materialise(setup)
    outputs = {layer.name: layer.output for layer in setup.profile.layers if layer.output is not None}
    reasons: list[str] = []
    modules = chosen_modules(setup.subject.model, edit.layers)
    for name, module in modules:
        try:
            if isinstance(module, torch.jit.ScriptModule):
                raise NotApplicable(f"`{name}` is compiled by TorchScript and takes no forward hook")
            if name not in outputs:
                raise NotApplicable(f"`{name}` was not called as a module")
            _put_behind(name, module, norm, len(outputs[name].shape))
        except NotApplicable as reason:
            reasons.append(str(reason))
    if len(reasons) == len(modules):
        raise NotApplicable(reasons[0] if reasons else "there is no layer to put a norm behind")
    return setup


def _put_behind(name: str, layer: nn.Module, norm: str, dimensions: int) -> None:
    if role_of(layer) != "linear":
        raise NotApplicable(f"`{name}` is no linear or convolution layer")
    spatial = len(layer.kernel_size) if isinstance(layer, nn.modules.conv._ConvNd) else 0
    if spatial and dimensions != spatial + 2:
        raise NotApplicable(f"`{name}` runs without a batch dimension")
    weight = layer.weight
    if not isinstance(weight, Tensor) or not weight.is_floating_point():
        raise NotApplicable(f"`{name}` does not compute in real floating-point numbers")
    inner = _norm(norm, _width(layer), spatial).to(device=weight.device, dtype=weight.dtype)
    inner.train(layer.training)
    child = free_name(layer, "norm")
    layer.add_module(child, inner)
    # first of its hooks: a skip that is there already goes round the norm as well
    layer.register_forward_hook(NormBehind(child, rows=not spatial), prepend=True)


def _norm(norm: str, width: int, spatial: int) -> nn.Module:
    if norm == "batch":
        return _BATCH_NORMS[max(1, spatial)](width)
    if norm == "layer":
        return nn.GroupNorm(1, width) if spatial else nn.LayerNorm(width)
    if norm != "group":
        raise NotApplicable(f"there is no normalisation called `{norm}`")
    groups = math.gcd(_MOST_GROUPS, width)
    if not spatial and groups == width:
        raise NotApplicable(f"with {width} units in {groups} groups each group holds one value, which a norm makes zero")
    return nn.GroupNorm(groups, width)


def _width(layer: nn.Module) -> int:
    for attribute in ("out_channels", "out_features", "nf"):  # nf: Conv1D of transformers
        if isinstance(width := getattr(layer, attribute, None), int):
            return width
    return int(layer.weight.shape[0])  # type: ignore[index]


class NormBehind:
    """A forward hook that hands the layer's output to the child module of this name.

    `rows`: the units are in the last dimension, and all others are positions, whatever their number.
    """

    def __init__(self, child: str, *, rows: bool) -> None:
        self.child, self.rows = child, rows

    def __call__(self, layer: nn.Module, _args: tuple[Any, ...], output: Tensor) -> Tensor:
        norm = getattr(layer, self.child)
        if self.rows and output.ndim != 2:
            flat: Tensor = norm(output.reshape(-1, output.shape[-1]))
            return flat.reshape(output.shape)
        normalised: Tensor = norm(output)
        return normalised
