"""Linear layers that follow each other with nothing non-linear between them."""

from __future__ import annotations

from torch import nn

from gradcheck_cli.probing.capture import Capture
from gradcheck_cli.probing.graph import Graph, Node
from gradcheck_cli.probing.kinds import PASS_NODES, node_name
from gradcheck_cli.records import LinearPair

_NEUTRAL = (PASS_NODES - {"expand"}) | {"nativedropout"}


def find_linear_pairs(graph: Graph, capture: Capture, on_spine: set[Node]) -> tuple[LinearPair, ...]:
    """Pairs of ungrouped linear or convolution layers on the spine whose composition is one linear layer.

    Between them may stand only views and dropout, and the first one's output must feed nothing else. To be called before
    the backward pass.
    """
    layers: dict[Node, tuple[str, nn.Module]] = {}
    dropouts: set[Node] = set()  # on the CPU a dropout is a product with its mask and no operation of its own
    for tap in capture.taps.values():
        module = tap.calls[0][0].module
        if isinstance(module, nn.modules.dropout._DropoutNd):
            dropouts.add(tap.node)
        elif isinstance(module, nn.Linear | nn.modules.conv._ConvNd) and getattr(module, "groups", 1) == 1:
            layers[tap.node] = (tap.calls[0][0].name, module)
    pairs = {}
    for node, (name, module) in layers.items():
        if node not in on_spine:
            continue
        earlier = _only_linear_input(node, graph, layers, dropouts)
        if earlier is None or earlier[1] is module:
            continue
        first, before = earlier
        pairs[first, name] = LinearPair(
            first=first, second=name, widths=(_width(before)[0], _width(before)[1], _width(module)[1])
        )
    return tuple(pairs.values())


def _only_linear_input(
    node: Node, graph: Graph, layers: dict[Node, tuple[str, nn.Module]], dropouts: set[Node]
) -> tuple[str, nn.Module] | None:
    """The linear layer whose output is this one's input, through neutral nodes that feed nothing else."""
    inputs = [n for n in graph.successors.get(node, ()) if not _from_parameter(n, graph)]
    while len(inputs) == 1 and len(graph.predecessors[inputs[0]]) == 1:
        node = inputs[0]
        if node in layers:
            return layers[node]
        # the view that a Linear puts around its matrix product when the input has more than two dimensions
        neutral = node in dropouts or node_name(node) in _NEUTRAL or node_name(node) in ("addmm", "mm")
        if not neutral and not _is_dropout(node):
            return None
        inputs = [n for n in graph.successors.get(node, ()) if not _from_parameter(n, graph)]
    return None


def _is_dropout(node: Node) -> bool:
    """True for a product with a mask of zeros and one number above one, which is what F.dropout makes on the CPU."""
    if node_name(node) != "mul" or sum(n is not None for n, _ in node.next_functions) != 1:
        return False
    try:
        mask = node._saved_other if node.next_functions[0][0] is not None else node._saved_self
    except RuntimeError:  # edited in place since
        return False
    if mask is None or mask.numel() < 2:
        return False
    largest = mask.max()
    return bool(largest > 1) and bool(((mask == 0) | (mask == largest)).all())


def _from_parameter(node: Node, graph: Graph) -> bool:
    """True for the weight or bias side of a product: a parameter behind nothing but views."""
    while True:
        if "accumulategrad" in node_name(node):
            return True
        following = graph.successors.get(node, ())
        if node_name(node) not in PASS_NODES or len(following) != 1:
            return False
        node = following[0]


def _width(module: nn.Module) -> tuple[int, int]:
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    assert isinstance(module, nn.modules.conv._ConvNd)
    return module.in_channels, module.out_channels
