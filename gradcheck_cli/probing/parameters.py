"""Turn parameters and their gradients into ParameterProfiles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from gradcheck_cli.loading.base import OptimizerSpec
from gradcheck_cli.probing.deferred import Deferred
from gradcheck_cli.probing.graph import Graph
from gradcheck_cli.probing.kinds import PASS_NODES, node_name, role_of, role_of_node
from gradcheck_cli.probing.statistics import as_dense
from gradcheck_cli.probing.summary import Summary
from gradcheck_cli.probing.updates import update_ratio
from gradcheck_cli.records import ParameterProfile, SourceSite, State

ParameterRole = Literal["weight", "bias", "scale", "embedding", "recurrent", "other"]
# A bias gradient is a sum over samples and positions. Where it is this much smaller than the L2 norm of what is summed,
# the terms cancel to rounding noise: a bias before BatchNorm, a key bias of attention. float32 keeps about 1e-7.
_CANCELLED = 3e-6
_GROUP = 128  # parameters reduced together, before their records are made


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
    deferred: Deferred,
) -> tuple[ParameterProfile, ...]:
    """Read every parameter and its `.grad` after the backward pass; tied parameters once, with their aliases.

    `reached` and `multiplied` come from `parameters_in`; `output_gradient` is the gradient's L2 per layer.
    """
    found, profiles = _find(model), list[ParameterProfile]()
    for start in range(0, len(found), _GROUP):
        group = found[start : start + _GROUP]
        for p in group:
            p.value, gradient = deferred.summarise(p.parameter, histogram=False, peak=False), p.parameter.grad
            p.gradient = None if gradient is None else deferred.summarise(gradient)
        deferred.flush()
        for p in group:
            role = _role(p.names[0], p.parameter, p.module, id(p.parameter) in multiplied)
            state = _state(p.parameter, id(p.parameter) in reached)
            profiles.append(_profile(p, role, state, output_gradient.get(p.layer, 0.0), optimizer, sites.get(p.layer)))
    return tuple(profiles)


@dataclass(slots=True)
class _Found:
    """A parameter, its names, the module that holds it first, and its numbers: those of the value and of the gradient."""

    parameter: nn.Parameter
    names: list[str]
    layer: str
    module: nn.Module
    value: Summary = field(default_factory=Summary)
    gradient: Summary | None = None


def _find(model: nn.Module) -> list[_Found]:
    found: dict[int, _Found] = {}
    for layer, module in model.named_modules(remove_duplicate=False):
        for last, parameter in module._parameters.items():
            if parameter is None:
                continue
            name = (f"{layer}.{last}" if layer else last).replace("_orig_mod.", "")
            if id(parameter) in found:
                found[id(parameter)].names.append(name)
            else:
                found[id(parameter)] = _Found(parameter, [name], layer.replace("_orig_mod.", ""), module)
    return list(found.values())


def _profile(
    found: _Found,
    role: ParameterRole,
    state: State,
    output_gradient: float,
    optimizer: OptimizerSpec | None,
    site: SourceSite | None,
) -> ParameterProfile:
    parameter, summary = found.parameter, found.gradient
    gradient = parameter.grad
    fan_in, fan_out = _fans(parameter, found.module)
    cancelled = role == "bias" and summary is not None and 0 < summary.l2 < _CANCELLED * output_gradient
    dense = as_dense(parameter)
    return ParameterProfile(
        name=found.names[0],
        aliases=tuple(found.names[1:]),
        layer=found.layer,
        layer_kind=type(found.module).__name__,
        role=role,
        state=state,
        value=found.value.to_stats(),
        gradient=None if summary is None else summary.to_stats(),
        gradient_l1=None if summary is None else summary.l1(),
        fan_in=fan_in,
        fan_out=fan_out,
        constant=dense is not None and _constant(dense),
        identical_units=dense is not None and _identical(dense),
        noise="its terms cancel, as those of a bias before a normalisation or of an attention key do" if cancelled else None,
        update_ratio=None if gradient is None else update_ratio(parameter, gradient, found.value.l2, optimizer),
        touched_fraction=_touched(gradient) if role == "embedding" and gradient is not None else None,
        site=site,
    )


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


def _constant(values: Tensor) -> bool:
    if values.numel() < 2:
        return False
    flat = values.reshape(-1)
    return flat[0].item() == flat[-1].item() and bool((flat == flat[0]).all())  # two numbers tell most tensors apart


def _identical(values: Tensor) -> bool:
    if values.ndim < 2 or values.shape[0] < 2 or values.numel() == 0:
        return False
    rows = values.reshape(values.shape[0], -1)
    first = rows[:2, 0].tolist()
    return first[0] == first[1] and bool((rows == rows[:1]).all())


def _touched(gradient: Tensor) -> float | None:
    """Share of the rows that this batch looks up: untouched rows are exactly zero, in their first element too."""
    if gradient.is_sparse:
        return gradient.coalesce().indices().shape[1] / gradient.shape[0]
    if gradient.ndim != 2 or gradient.numel() == 0:
        return None
    return int(torch.count_nonzero(gradient[:, 0]).item()) / gradient.shape[0]
