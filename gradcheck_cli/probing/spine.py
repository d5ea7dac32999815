"""The spine of the backward graph: what every gradient passes on its way to the first layers, and the gain of each part.

Node d dominates layer l if every gradient path from the loss to l passes d. The measured tensors among l's dominators,
loss side first, are the spine to l; the L2 norms of the gradient at two neighbours give the gain of the segment between
them, and log10 gains along a spine add up exactly.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass, field

from gradcheck_cli.probing.calls import Call, Ownership, Tap
from gradcheck_cli.probing.capture import Capture
from gradcheck_cli.probing.graph import Graph, Node
from gradcheck_cli.probing.kinds import LOSS_NODES, PASS_NODES, activation_node, node_name, role_of, role_of_node
from gradcheck_cli.records import Role, Segment, Spine, SpinePoint

MAX_SPINES = 12
_QUIET = (PASS_NODES - {"expand"}) | {"torch::autograd::accumulategrad", "accumulategrad"}
# Roles of single layers: parallel paths inside one, as of x / (1 + |x|) or of a normalisation, are no way around it.
_WHOLE = ("activation", "norm", "linear", "recurrent", "embedding")
_FLOOR = 1e-300  # stands for an exactly zero gradient, so that a logarithm exists


@dataclass(slots=True, eq=False)
class Operation:
    """An operation without a module of its own: its autograd node, its name in the report, and the call that made it."""

    node: Node
    name: str
    kind: str
    role: Role
    owner: Call | None


@dataclass(slots=True)
class SpinePlan:
    """What has to be measured during the backward pass, decided from the graph before it runs."""

    chains: list[tuple[Tap, list[Node]]]  # (entry, dominators from the entry to the loss)
    operations: dict[Node, Operation]
    module_taps: dict[Node, Tap]
    joined: set[Node] = field(default_factory=set)  # nodes where parallel paths meet, seen from the loss


def plan_spines(graph: Graph, capture: Capture) -> SpinePlan:
    """Choose entries and their dominator chains, and name the operations without a module that must be measured.

    An entry is a layer with parameters (or an input layer) upstream of which no other such layer lies; a layer that is
    called several times counts once, by its call with the longest chain.
    """
    ownership = Ownership(capture.calls)
    taps: dict[Node, Tap] = {}
    for tap in capture.taps.values():
        taps.setdefault(tap.node, tap)
    idom = graph.dominators()
    entries = _entries(graph, taps, idom)
    chains = [(tap, _chain(tap.node, idom)) for tap in entries]
    on_spine = {node for _, chain in chains for node in chain}
    ends = {node for node, tap in taps.items() if _ends_in_function(tap)}
    free = [n for n in graph.order if (n not in taps or n in ends) and ownership.inside(n)]
    wanted = [n for n in free if _worth(n, on_spine, ownership.owner(n))]
    return SpinePlan(
        chains=chains,
        operations=_name_operations(wanted, ownership),
        module_taps=taps,
        joined={n for n in on_spine if len(graph.predecessors[n]) > 1},
    )


def _ends_in_function(tap: Tap) -> bool:
    """True for a block whose forward ends in `return torch.relu(...)`: the gain there is the function's, not the block's."""
    return role_of(tap.calls[0][0].module) in ("container", "other") and activation_node(tap.node) is not None


def _worth(node: Node, on_spine: set[Node], owner: Call | None) -> bool:
    if node in on_spine:
        return node_name(node) not in _QUIET
    if owner is not None and role_of(owner.module) == "recurrent":
        return False  # the gates of a fused recurrent layer, once a step: its gradient through time says more
    return activation_node(node) not in (None, "softmax", "log_softmax", "glu")


def _entries(graph: Graph, taps: dict[Node, Tap], idom: dict[Node, Node]) -> list[Tap]:
    depth: dict[Node, int] = {}
    for node in graph.order:
        depth[node] = 0 if idom[node] is node else depth[idom[node]] + 1
    feeds: dict[Node, bool] = {}  # a layer with parameters lies upstream of the node
    best: dict[str, Tap] = {}
    for node in reversed(graph.order):
        upstream = any(feeds[n] for n in graph.successors[node])
        tap = taps.get(node)
        layer = tap is not None and _is_layer(tap)
        feeds[node] = upstream or layer
        if tap is not None and layer and not upstream:
            name = tap.calls[0][0].name
            if name not in best or depth[node] > depth[best[name].node]:
                best[name] = tap
    return sorted(best.values(), key=lambda t: (-depth[t.node], t.calls[0][0].order))[:MAX_SPINES]


def _is_layer(tap: Tap) -> bool:
    module = tap.calls[0][0].module
    return any(True for _ in module.parameters(recurse=False)) or (
        any(True for _ in module.parameters()) and not any(True for _ in module.children())
    )


def _chain(node: Node, idom: dict[Node, Node]) -> list[Node]:
    chain = [node]
    while idom[node] is not node:
        node = idom[node]
        chain.append(node)
    return chain


def _name_operations(nodes: list[Node], ownership: Ownership) -> dict[Node, Operation]:
    """Name each operation "owner/kind", with "#2" for the second of its kind in the same owner's call, in execution order."""
    seen: Counter[tuple[str, int, str]] = Counter()
    named = {}
    for node in sorted(nodes, key=lambda n: n._sequence_nr()):
        owner = ownership.owner(node)
        kind = activation_node(node) or node_name(node)
        key = (owner.name if owner else "", owner.index if owner else 0, kind)
        seen[key] += 1
        suffix = f"#{seen[key]}" if seen[key] > 1 else ""
        named[node] = Operation(node, f"{key[0]}/{kind}{suffix}", kind, role_of_node(node), owner)
    return named


def build_spines(plan: SpinePlan, capture: Capture, ownership: Ownership) -> tuple[Spine, ...]:
    """Read the measured norms into spines, longest first; scalar and loss-like points at the loss end are left out."""
    spines = []
    for entry, chain in plan.chains:
        points: list[SpinePoint] = []
        joined: list[bool] = []  # parallel paths between this point and the one before it, on the loss side
        pending = False
        for node in reversed(chain):
            pending = pending or node in plan.joined
            point = _point(node, plan, capture)
            if point is None or (not points and _is_loss_end(node, plan, capture, ownership)):
                if not points:
                    pending = False
                continue
            points.append(point)
            joined.append(pending)
            pending = False
        if len(points) < 2:
            continue
        segments = tuple(
            Segment(
                layer=a.layer,
                kind=a.kind,
                role=a.role,
                call=a.call,
                log10_gain=math.log10(max(b.l2, _FLOOR)) - math.log10(max(a.l2, _FLOOR)),
                bypassed=joined[i + 1] and a.role not in _WHOLE,
            )
            for i, (a, b) in enumerate(itertools.pairwise(points))
        )
        spines.append(Spine(entry=entry.calls[0][0].name, points=tuple(points), segments=segments))
    return tuple(spines)


def _point(node: Node, plan: SpinePlan, capture: Capture) -> SpinePoint | None:
    summary = capture.gradient_at(node)
    if summary is None or summary.nonfinite or not math.isfinite(summary.l2):
        return None
    operation, tap = plan.operations.get(node), plan.module_taps.get(node)
    if operation is not None:
        index = operation.owner.index if operation.owner else 0
        return SpinePoint(layer=operation.name, kind=operation.kind, role=operation.role, call=index, l2=summary.l2)
    if tap is None:
        return None
    call = tap.calls[0][0]
    return SpinePoint(
        layer=call.name, kind=type(call.module).__name__, role=role_of(call.module), call=call.index, l2=summary.l2
    )


def _is_loss_end(node: Node, plan: SpinePlan, capture: Capture, ownership: Ownership) -> bool:
    """True for the part of a loss that a model computes in its own forward: scalars and loss functions."""
    if not ownership.inside(node):
        return True
    summary, name = capture.gradient_at(node), node_name(node)
    return (
        (summary is not None and math.prod(summary.shape) == 1)
        or name in LOSS_NODES
        or (node not in plan.module_taps and name in {"sum", "mean"})
    )
