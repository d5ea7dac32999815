"""Add skip connections: around layers of equal width from pre-activation to pre-activation, around blocks as they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from gradcheck_cli.probing.kinds import node_name, role_of
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.modules import chosen_modules, free_name, materialise, run_once

_LONGEST_WALK = 50  # autograd nodes between two layers: norm, activation, dropout and views are fewer than ten


def apply(setup: Setup, edit: Edit) -> Setup:
    """Add a skip around each named layer or block whose branch keeps its shape, seen on a run of the copy.

    Around a linear layer the skip goes from the output z of the linear layer before it to its own: z' = z + f(z)/√n, where f
    is norm, activation and this layer, and n the number of skips: the identity mappings of K. He et al. (2016), in source
    `x = x + block(x) / math.sqrt(n)` with the block Sequential(activation, linear). Where no single linear layer feeds the
    layer, where either of the two runs more than once or inside a checkpoint, and for blocks, its own input is added to its
    output. Layers that the gradient need not pass, the first ones, get none.

    Measured on plain networks of 20 and 50 fully connected layers and 24 convolutions (drop in decades, growth forward;
    40 steps of SGD): without skips tanh 4.8, 12.4 and 6.6, ReLU 8.3, gone and 9.9, sigmoid 17.4 and gone. Input added to the
    layer's output: sigmoid still 12.3 and gone, the others fine. Input added behind the activation: no drop, but the means
    of ReLU and sigmoid add up to a growth of 0.4 to 1.6 even at scale 1/√n. From pre-activation to pre-activation: drop
    below 0.7 for all and growth below 0.25 at scale 1/√n, with the lowest loss for sigmoid and for ReLU with He weights and
    about the same for the others; at scale 1 those ReLU networks grow by 3 and 7 decades. Branches that start at zero measure
    the same, but their weights get no gradient at the first step.
    """
    materialise(setup)
    modules = chosen_modules(setup.subject.model, edit.layers)
    for name, module in modules:
        if isinstance(module, torch.jit.ScriptModule):
            raise NotApplicable(f"`{name}` is compiled by TorchScript and takes no forward hook")
    plan = _plan(setup, modules)
    if not plan:
        raise NotApplicable("none of the layers keeps the shape of what a skip would carry round it")
    scale = 1.0 / math.sqrt(len(plan))
    kept = [k for k in (_connect(module, source, scale) for module, source in plan) if k is not None]
    if kept:
        setup.subject.model.register_forward_hook(_Forget(kept), always_call=True)
    return setup


def _connect(module: nn.Module, source: nn.Module | None, scale: float) -> _Kept | None:
    """Hook a skip to the layer or block that it ends at; return what it keeps where it starts from another layer."""
    skip, kept = Skip(scale).train(module.training), _Kept() if source is not None else None
    if source is not None and kept is not None:
        source.register_forward_hook(_Keep(kept))
        module.register_forward_hook(_AddKept(skip, kept))
    elif role_of(module) == "linear":
        module.register_forward_hook(_AddInput(skip), with_kwargs=True)
    else:
        stack = _Stack()
        module.register_forward_pre_hook(_Push(stack), with_kwargs=True, prepend=True)
        module.register_forward_hook(_PopAndAdd(skip, stack), always_call=True)
    # For its name only. A block may run its children one after another, as nn.Sequential does: it gets no further child.
    setattr(module, free_name(module, "skip"), skip if role_of(module) == "linear" else [skip])
    return kept


class Skip(nn.Module):
    """around + scale · branch. A module, so that the sum has a name and is measured."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, around: Tensor, branch: Tensor) -> Tensor:
        return around + self.scale * branch

    def extra_repr(self) -> str:
        return f"scale={self.scale:.3g}"


@dataclass
class _Kept:
    """The latest output of a layer, until the skip has used it; copies start empty."""

    value: Tensor | None = None

    def __reduce__(self) -> tuple[type[_Kept], tuple[()]]:
        return _Kept, ()


class _Keep:
    """Forward hook of the layer that a skip starts from. Clones: an in-place activation would edit what is kept."""

    def __init__(self, kept: _Kept) -> None:
        self.kept = kept

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> None:
        self.kept.value = output.clone() if isinstance(output, Tensor) else None


class _AddKept:
    """Forward hook of the layer that a skip ends at."""

    def __init__(self, skip: Skip, kept: _Kept) -> None:
        self.skip, self.kept = skip, kept

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        around, self.kept.value = self.kept.value, None
        return _added(self.skip, around, output)


class _Forget:
    """Forward hook of the root: lets go of what a forward pass that failed has left."""

    def __init__(self, kept: list[_Kept]) -> None:
        self.kept = kept

    def __call__(self, _module: nn.Module, _args: Any, _output: Any) -> None:
        for each in self.kept:
            each.value = None


class _AddInput:
    """Forward hook of a layer that does not edit its input: the sum of input and output."""

    def __init__(self, skip: Skip) -> None:
        self.skip = skip

    def __call__(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        return _added(self.skip, _input(args, kwargs), output)


@dataclass
class _Stack:
    """Inputs of calls that have not returned; a stack, since a module may be called within its own call."""

    inputs: list[Tensor | None] = field(default_factory=list)

    def __reduce__(self) -> tuple[type[_Stack], tuple[()]]:
        return _Stack, ()


class _Push:
    """Forward pre-hook of a block. Clones: an in-place first operation would edit what is added later."""

    def __init__(self, stack: _Stack) -> None:
        self.stack = stack

    def __call__(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = _input(args, kwargs)
        self.stack.inputs.append(None if x is None else x.clone())


class _PopAndAdd:
    """Forward hook of a block, called also when the block raised, so that no input outlives its call."""

    def __init__(self, skip: Skip, stack: _Stack) -> None:
        self.skip, self.stack = skip, stack

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        around = self.stack.inputs.pop() if self.stack.inputs else None
        return _added(self.skip, around, output)


def _added(skip: Skip, around: Tensor | None, output: Any) -> Any:
    if around is None or not isinstance(output, Tensor) or around.shape != output.shape:
        return None
    return skip(around, output)


def _input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    return next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor) and x.is_floating_point()), None)


@dataclass
class _Run:
    """One call seen on the run: its input, its output's shape and autograd node, and whether a checkpoint ran it."""

    module: nn.Module
    x: Tensor | None
    shape: torch.Size
    node: Any
    checkpointed: bool


def _plan(setup: Setup, chosen: list[tuple[str, nn.Module]]) -> list[tuple[nn.Module, nn.Module | None]]:
    """Pair each module that takes a skip with the layer from whose output it starts, None for its own input."""
    wanted = {id(module) for _, module in chosen}
    runs: list[_Run] = []
    handles = [
        module.register_forward_hook(_recorder(runs), with_kwargs=True)
        for module in setup.subject.model.modules()
        if (id(module) in wanted or role_of(module) == "linear") and not isinstance(module, torch.jit.ScriptModule)
    ]
    try:
        run_once(setup)
    finally:
        for handle in handles:
            handle.remove()
    calls: dict[int, list[_Run]] = {}  # in the order of the modules' first calls
    for run in runs:
        calls.setdefault(id(run.module), []).append(run)
    feeding = {run.node: run for run in runs if run.node is not None and role_of(run.module) == "linear"}
    plan: list[tuple[nn.Module, nn.Module | None]] = []
    for own in (own for key, own in calls.items() if key in wanted):
        between = len(own) == 1 and role_of(own[0].module) == "linear"
        source = _feeds(own[0], feeding) if between else None
        single = source is not None and len(calls[id(source.module)]) == 1
        if source is not None and single and source.shape == own[0].shape and not _checkpointed(own[0], source):
            plan.append((own[0].module, source.module))
        elif all(_adds_up(run) for run in own):
            plan.append((own[0].module, None))
    return plan


def _recorder(runs: list[_Run]) -> Callable[..., None]:
    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        node = get_gradient_edge(output).node if output.requires_grad else None
        hooked = torch._C._autograd._top_saved_tensors_default_hooks(True) is not None
        runs.append(_Run(module, _input(args, kwargs), output.shape, node, hooked or not torch.is_grad_enabled()))

    return record


def _checkpointed(*runs: _Run) -> bool:
    """Say whether one of the calls is run again in the backward pass, which must not use what another call has kept."""
    return any(run.checkpointed for run in runs)


def _adds_up(run: _Run) -> bool:
    """Say whether the call's own input can be added to its output, and the gradient has somewhere to go round it."""
    if run.x is None or run.x.shape != run.shape:
        return False
    return run.checkpointed or run.x.requires_grad or role_of(run.module) != "linear"


def _feeds(own: _Run, feeding: dict[Any, _Run]) -> _Run | None:
    """The linear layer whose output becomes this call's input on a way without forks: norm, activation, dropout, views."""
    node = own.x.grad_fn if own.x is not None else None
    for _ in range(_LONGEST_WALK):
        if node is None or node in feeding:
            break
        following = [n for n, _ in node.next_functions if n is not None and "accumulategrad" not in node_name(n)]
        node = following[0] if len(following) == 1 else None
    return feeding.get(node)
