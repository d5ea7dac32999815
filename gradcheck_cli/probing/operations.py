"""Forward facts of activations called as functions, from what their autograd nodes saved for the backward pass."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gradcheck_cli.probing.forward import LayerForward
from gradcheck_cli.probing.graph import Graph, Node
from gradcheck_cli.probing.kinds import limits_of, node_name
from gradcheck_cli.probing.spine import SpinePlan
from gradcheck_cli.probing.statistics import summarise
from gradcheck_cli.probing.units import unit_facts


def functional_facts(plan: SpinePlan, graph: Graph) -> dict[Node, LayerForward]:
    """Facts of each functional activation of the plan; to be called before the backward pass, which frees what was saved.

    A saved tensor that was edited in place, or that a checkpoint would have to recompute, is passed over.
    """
    facts = {}
    for node, operation in plan.operations.items():
        kind = operation.kind
        if operation.role != "activation" or kind in ("softmax", "log_softmax", "glu"):
            continue
        try:
            before = getattr(node, "_saved_self", None)
            result = getattr(node, "_saved_result", None)
        except RuntimeError:
            continue
        if result is None and isinstance(before, Tensor):
            result = _again(kind, node, before)
        forward = LayerForward()
        if isinstance(result, Tensor):
            forward.outputs.append(summarise(result, histogram=False))
            unit_dim = _unit_dim(node, graph, result)
            forward.units = unit_facts(kind, result, unit_dim, before=before, limits=limits_of(node))
        facts[node] = forward
    return facts


def _again(kind: str, node: Node, before: Tensor) -> Tensor | None:
    """The output of an activation whose node saves only its input; None for those that have no unit to die or saturate."""
    with torch.no_grad():
        if kind in ("relu", "relu6", "hardtanh"):
            low, high = limits_of(node) or (0.0, None)
            return before.clamp(low, high)
        if kind == "hardsigmoid":
            return F.hardsigmoid(before)
        return torch.erf(before) if kind == "erf" else None


def _unit_dim(node: Node, graph: Graph, tensor: Tensor) -> int:
    """1 if the values come from a convolution or a batch norm, else the last dimension."""
    if tensor.ndim <= 2:
        return tensor.ndim - 1
    for _ in range(8):
        following = graph.successors.get(node, ())
        node = next((n for n in following if "accumulategrad" not in node_name(n)), None)
        if node is None:
            break
        name = node_name(node)
        if "convolution" in name or "batchnorm" in name or "batch_norm" in name or "groupnorm" in name:
            return 1
        if name in ("addmm", "mm", "bmm", "nativelayernorm"):
            break
    return tensor.ndim - 1
