"""Gradient through time: of fused recurrent layers, and of layers that a hand-written loop calls step by step."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, _engine_run_backward

from gradcheck_cli.probing.calls import Tap
from gradcheck_cli.probing.capture import Capture
from gradcheck_cli.probing.graph import Graph, Node
from gradcheck_cli.records import SourceSite, TimeProfile

MIN_STEPS = 8  # shorter sequences are depth, not time
_MAX_LOOPS = 4
_REARRANGING = ("Split", "UnsafeSplit", "Slice", "Select", "Unbind", "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze",
                "Expand", "Transpose", "Permute", "TBackward", "Clone", "Rsub")  # Rsub: 1 - z of a GRU  # fmt: skip


def fused_times(
    inputs: Mapping[str, tuple[nn.RNNBase, Tensor]], sites: Mapping[str, SourceSite], seed: int, at_end: Container[str]
) -> tuple[TimeProfile, ...]:
    """For each nn.RNN, nn.LSTM or nn.GRU: the gradient of its last step's output with respect to its input sequence.

    The layer runs alone, on the first few sequences of its real input; a random projection of the last step is the loss. A
    bidirectional layer is measured in both directions. `RuntimeError`s of the layer itself pass through.
    """
    found = []
    for name, (module, sequence) in inputs.items():
        dim = 1 if module.batch_first else 0
        x = sequence if sequence.ndim == 3 else sequence.unsqueeze(1 - dim)
        steps = x.shape[dim]
        if steps < MIN_STEPS:
            continue
        directions: tuple[Literal["forward", "backward"], ...] = (
            ("forward", "backward") if module.bidirectional else ("forward",)
        )
        for direction in directions:
            l2 = _one_direction(module, x.detach(), dim, direction, seed)
            gated = isinstance(module, nn.LSTM | nn.GRU)
            time = TimeProfile(
                layer=name, kind=type(module).__name__, gated=gated, hand_written=False, direction=direction,
                loss_at_end=name in at_end, site=sites.get(name), **_decay(l2),
            )  # fmt: skip
            found.append(time)
    return tuple(found)


def _one_direction(module: nn.RNNBase, x: Tensor, dim: int, direction: str, seed: int) -> list[float]:
    """L2 of the gradient at each input step, from the step where the direction ends backward."""
    x = x.clone().requires_grad_(True)
    with torch.enable_grad():
        output = module(x)[0]
        width = output.shape[-1] // (2 if module.bidirectional else 1)
        last = output.select(dim, -1)[..., :width] if direction == "forward" else output.select(dim, 0)[..., width:]
        weights = torch.randn(last.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
        (gradient,) = torch.autograd.grad((last * weights.to(last)).sum(), x)
    per_step: list[float] = gradient.double().movedim(dim, 0).reshape(x.shape[dim], -1).norm(dim=1).tolist()
    return per_step[::-1] if direction == "forward" else per_step


def ends_only(capture: Capture) -> set[str]:
    """Fused recurrent layers whose output sequence gets no gradient but at its end; to be asked after the backward pass."""
    names = set()
    for tap in capture.taps.values():
        call, leaf = tap.calls[0]
        if isinstance(call.module, nn.RNNBase) and leaf == 0:
            summary = tap.gradient
            if summary is None or (summary.looked_at and summary.zeros > 0.8 * summary.looked_at):
                names.add(call.name)
    return names


def loop_times(capture: Capture, graph: Graph, sites: Mapping[str, SourceSite], seed: int) -> tuple[TimeProfile, ...]:
    """For each layer called one step after another: the gradient of its last call's output with respect to all calls'.

    To be run before the main backward pass, with the graph kept; `.grad` fields are not touched. Layers whose calls do
    not depend on each other (the same head applied to every element) are left out.
    """
    calls: dict[str, list[Tap]] = {}
    for tap in capture.taps.values():
        call = tap.calls[0][0]
        if not call.recompute and tap.node in graph.position:
            calls.setdefault(call.name, []).append(tap)
    found: list[TimeProfile] = []
    for name, taps in sorted(calls.items(), key=lambda item: item[0].count(".")):
        if any(name.startswith(f"{time.layer}.") for time in found):
            continue  # a part of a cell that is already measured as a whole
        taps.sort(key=lambda t: (t.calls[0][0].index, t.calls[0][1]))
        by_call: dict[int, list[Tap]] = {}
        for tap in taps:
            by_call.setdefault(tap.calls[0][0].index, []).append(tap)
        module = taps[0].calls[0][0].module
        if len(by_call) < MIN_STEPS or not any(True for _ in module.parameters()) or len(found) >= _MAX_LOOPS:
            continue
        steps = list(by_call.values())
        if not _reaches(graph, steps[-1][0].node, {tap.node for tap in steps[0]}):
            continue
        l2 = _loop(steps, seed)
        time = TimeProfile(
            layer=name, kind=type(module).__name__, gated=_gated(graph, module, steps), hand_written=True,
            loss_at_end=_attached(graph, steps) <= 0.2 * len(steps), site=sites.get(name), **_decay(l2),
        )  # fmt: skip
        found.append(time)
    return tuple(found)


def _gated(graph: Graph, module: nn.Module, steps: list[list[Tap]]) -> bool:
    """Say whether one turn of the loop multiplies something by a sigmoid, as hand-written LSTM and GRU cells do.

    The turn is what was computed between the last two calls, so the gates may also stand in the loop's own body. A gate that
    has nothing to do with the state is taken for one that has: then the layer is judged as mildly as nn.LSTM.
    """
    if any(isinstance(m, nn.LSTMCell | nn.GRUCell | nn.LSTM | nn.GRU) for m in module.modules()):
        return True
    start, end = (max(tap.node._sequence_nr() for tap in step) for step in steps[-2:])
    turn = (n for n in graph.order if start < n._sequence_nr() <= end and n.name().startswith(("Mul", "Addcmul", "Lerp")))
    return any(_is_sigmoid(graph, n) for product in turn for n in graph.successors[product])


def _is_sigmoid(graph: Graph, node: Node) -> bool:
    while node.name().startswith(_REARRANGING) and graph.successors[node]:
        node = graph.successors[node][0]
    return bool(node.name().startswith(("Sigmoid", "Hardsigmoid")))


def _attached(graph: Graph, steps: list[list[Tap]]) -> int:
    """Count the earlier steps that the gradient reaches without passing the last one."""
    seen = {tap.node for tap in steps[-1]}
    stack = [n for n in graph.order if not graph.predecessors[n] and n not in seen]
    seen.update(stack)
    while stack:
        for n in graph.successors[stack.pop()]:
            if n not in seen:
                seen.add(n)
                stack.append(n)
    return sum(any(tap.node in seen for tap in step) for step in steps[:-1])


def _reaches(graph: Graph, start: Node, goals: set[Node]) -> bool:
    """Is one of the goals upstream of a node? Walks no further than the last of them."""
    limit, seen, stack = max(graph.position[goal] for goal in goals), {start}, [start]
    while stack:
        for n in graph.successors[stack.pop()]:
            if n in goals:
                return True
            if n not in seen and graph.position[n] < limit:
                seen.add(n)
                stack.append(n)
    return False


def _loop(steps: list[list[Tap]], seed: int) -> list[float]:
    """L2 of d(last step)/d(step) from the last step backward; the last step itself counts as where the gradient starts."""
    generator = torch.Generator().manual_seed(seed)
    last = steps[-1][0]
    meta = last.node._input_metadata[last.number]
    seed_gradient = torch.randn(tuple(meta.shape), generator=generator)
    # What torch.autograd.grad does, without its shape check, which imports sympy and costs half a second.
    gradients = _engine_run_backward(
        (GradientEdge(last.node, last.number),),
        (seed_gradient.to(dtype=meta.dtype, device=meta.device),),
        True,  # the graph is kept for the main pass
        False,
        tuple(GradientEdge(t.node, t.number) for step in steps[:-1] for t in step),
        allow_unreachable=True,
        accumulate_grad=False,
    )
    l2, at = [float(seed_gradient.norm())], len(gradients)
    for step in reversed(steps[:-1]):
        at -= len(step)
        l2.append(math.hypot(*(float(g.double().norm()) for g in gradients[at : at + len(step)] if g is not None)))
    return l2


def _decay(l2: list[float]) -> dict[str, Any]:
    """Steps, fitted decay and horizon of norms from the last step backward; exact zeros are left out of the fit."""
    kept = [i for i, v in enumerate(l2) if v > 0 and math.isfinite(v)]
    top = max(l2[: max(1, len(l2) // 8)])
    horizon = next((i for i, v in enumerate(l2) if v < 0.01 * top), None)
    return {"steps": len(l2), "l2": tuple(l2), "decay": _slope([math.log10(l2[i]) for i in kept], kept), "horizon": horizon}


def _slope(y: list[float], x: list[int]) -> float:
    """Least-squares slope, decades per step; 0 for fewer than two points."""
    n = len(x)
    if n < 2:
        return 0.0
    mx, my = sum(x) / n, sum(y) / n
    return sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)
