"""Turn parameters and their gradients into ParameterProfiles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from gradcheck_cli.loading.base import OptimizerSpec
from gradcheck_cli.probing.graph import Graph
from gradcheck_cli.probing.kinds import PASS_NODES, node_name, role_of, role_of_node
from gradcheck_cli.probing.statistics import as_dense, summarise
from gradcheck_cli.probing.updates import update_ratio
from gradcheck_cli.records import ParameterProfile, SourceSite, State

ParameterRole = Literal["weight", "bias", "scale", "embedding", "recurrent", "other"]
# A bias gradient is a sum over samples and positions. Where it is this much smaller than the L2 norm of what is summed,
# the terms cancel to rounding noise: a bias before BatchNorm, a key bias of attention. float32 keeps about 1e-7.
_CANCELLED = 3e-6


def parameters_in(graph: Graph) -> tuple[set[int], set[int]]:
    """Ids of the parameters that the loss reaches, and of those that enter a matrix product or convolution (behind views)."""
    reached, multiplied = set(), set()
    for node in graph.order:
        parameter = getattr(node, "variable", None)
        if parameter is None:
            continue
        reached.add(id(parameter))
        stack = list(graph.predecessors[node])
        while stack:
            consumer = stack.pop()
            if role_of_node(consumer) == "linear":
                multiplied.add(id(parameter))
            elif node_name(consumer) in PASS_NODES:
                stack.extend(graph.predecessors[consumer])
    return reached, multiplied


@torch.no_grad()
def build_parameters(
    model: nn.Module,
    reached: set[int],
    multiplied: set[int],
    output_gradient: Mapping[str, float],
    optimizer: OptimizerSpec | None,
    sites: Mapping[str, SourceSite],
    *,
    exact: bool,
) -> tuple[ParameterProfile, ...]:
    """Read every parameter and its `.grad` after the backward pass; tied parameters once, with their aliases.

    `reached` and `multiplied` come from `parameters_in`; `output_gradient` is the gradient's L2 per layer.
    """
    owners = _owners(model)
    names: dict[int, list[str]] = {}
    unique: dict[int, nn.Parameter] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name.replace("_orig_mod.", ""))
        unique[id(parameter)] = parameter
    profiles = []
    for key, parameter in unique.items():
        layer, module = owners[key]
        name, *aliases = names[key]
        role = _role(name, parameter, module, key in multiplied)
        state = _state(parameter, key in reached)
        whole = output_gradient.get(layer, 0.0)
        profile = _read(name, layer, module, parameter, role, state, whole, optimizer, exact=exact)
        profiles.append(replace(profile, aliases=tuple(aliases), site=sites.get(layer)))
    return tuple(profiles)


def _read(
    name: str,
    layer: str,
    module: nn.Module,
    parameter: nn.Parameter,
    role: ParameterRole,
    state: State,
    output_gradient: float,
    optimizer: OptimizerSpec | None,
    *,
    exact: bool,
) -> ParameterProfile:
    value, gradient = summarise(parameter, histogram=False, peak=False), parameter.grad
    summary = None if gradient is None else summarise(gradient, exact=exact)
    fan_in, fan_out = _fans(parameter, module)
    cancelled = role == "bias" and summary is not None and 0 < summary.l2 < _CANCELLED * output_gradient
    return ParameterProfile(
        name=name,
        layer=layer,
        layer_kind=type(module).__name__,
        role=role,
        state=state,
        value=value.to_stats(),
        gradient=None if summary is None else summary.to_stats(),
        gradient_l1=None if summary is None else summary.l1(),
        fan_in=fan_in,
        fan_out=fan_out,
        constant=_constant(parameter),
        identical_units=_identical(parameter),
        noise="its terms cancel, as those of a bias before a normalisation or of an attention key do" if cancelled else None,
        update_ratio=None if gradient is None else update_ratio(parameter, gradient, value.l2, optimizer),
        touched_fraction=_touched(gradient) if role == "embedding" and gradient is not None else None,
    )


def _owners(model: nn.Module) -> dict[int, tuple[str, nn.Module]]:
    """Name and module that hold each parameter, by the parameter's id; a tied one belongs to the first that holds it."""
    owners: dict[int, tuple[str, nn.Module]] = {}
    for name, module in model.named_modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(id(parameter), (name.replace("_orig_mod.", ""), module))
    return owners


def _state(parameter: nn.Parameter, reached: bool) -> State:
    if not parameter.requires_grad:
        return "frozen"
    return "measured" if parameter.grad is not None or reached else "unreached"


def _role(name: str, parameter: Tensor, module: nn.Module, multiplied: bool) -> ParameterRole:
    last = name.rsplit(".", 1)[-1]
    kind = role_of(module)
    if kind == "embedding":
        return "embedding"
    if "bias" in last or (kind == "linear" and parameter.ndim == 1 and last in ("b", "beta")):
        return "bias"
    if kind == "recurrent" and parameter.ndim > 1:
        return "recurrent" if "hh" in last else "weight"
    if parameter.ndim <= 1 or kind == "norm":
        return "scale"
    if kind == "linear" or multiplied:
        return "weight"
    return "other" if parameter.squeeze().ndim > 1 else "scale"  # a table of positions, a learned token; a layer scale


def _fans(parameter: Tensor, module: nn.Module) -> tuple[int | None, int | None]:
    """(fan_in, fan_out) as torch.nn.init counts them, but by what flows in and out for layers that store [in, out]."""
    if parameter.ndim < 2 or isinstance(parameter, nn.parameter.UninitializedParameter):
        return None, None
    field = math.prod(parameter.shape[2:])
    out, into = parameter.shape[0] * field, parameter.shape[1] * field
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        return out // module.groups, into
    return (out, into) if type(module).__name__ == "Conv1D" else (into, out)


def _constant(parameter: Tensor) -> bool:
    dense = as_dense(parameter)
    if dense is None or dense.numel() < 2:
        return False
    flat = dense.reshape(-1)
    return flat[0].item() == flat[-1].item() and bool((flat == flat[0]).all())  # two numbers tell most tensors apart


def _identical(parameter: Tensor) -> bool:
    dense = as_dense(parameter)
    if dense is None or dense.ndim < 2 or dense.shape[0] < 2 or dense.numel() == 0:
        return False
    rows = dense.reshape(dense.shape[0], -1)
    return rows[0, 0].item() == rows[1, 0].item() and bool((rows == rows[:1]).all())


def _touched(gradient: Tensor) -> float | None:
    """Share of the rows that this batch looks up: untouched rows are exactly zero, in their first element too."""
    if gradient.is_sparse:
        return gradient.coalesce().indices().shape[1] / gradient.shape[0]
    if gradient.ndim != 2 or gradient.numel() == 0:
        return None
    return int(torch.count_nonzero(gradient[:, 0]).item()) / gradient.shape[0]
