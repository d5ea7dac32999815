"""Walk the autograd graph: execution order, who owns an operation, and which nodes every gradient must pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Node = Any  # torch.autograd.graph.Node; its Python wrappers compare by identity as long as they are kept alive


class Graph:
    """The nodes reachable from the loss, in topological order (loss first), with predecessors and immediate dominators.

    Every node is kept alive until `release()`, which frees them from the loss side on: torch overflows the C stack when a chain of
    more than some 40,000 nodes that Python has looked at is freed in another order. Drop the loss and the outputs before that.
    """

    def __init__(self, roots: Iterable[Node]) -> None:
        roots = list(dict.fromkeys(roots))
        self.order: list[Node] = []
        self.successors: dict[Node, tuple[Node, ...]] = {}  # towards the inputs, AccumulateGrad nodes included
        self.predecessors: dict[Node, list[Node]] = {root: [] for root in roots}
        waiting: dict[Node, int] = {}
        stack = list(roots)
        while stack:
            node = stack.pop()
            following = tuple(dict.fromkeys(n for n, _ in node.next_functions if n is not None))
            self.successors[node] = following
            for n in following:
                waiting[n] = waiting.get(n, 0) + 1
                if n not in self.predecessors:
                    self.predecessors[n] = []
                    stack.append(n)
                self.predecessors[n].append(node)
        ready = [r for r in roots if r not in waiting]
        while ready:
            node = ready.pop()
            self.order.append(node)
            for n in self.successors[node]:
                waiting[n] -= 1
                if not waiting[n]:
                    ready.append(n)
        self.position = {node: i for i, node in enumerate(self.order)}

    def dominators(self) -> dict[Node, Node]:
        """Immediate dominator of each node as seen from the loss; the loss is its own.

        A node dominates another if every gradient path from the loss to the other passes it. One pass is exact on a DAG in
        topological order (Cooper, Harvey and Kennedy 2001, "A Simple, Fast Dominance Algorithm").
        """
        position, idom = self.position, {}
        for node in self.order:
            best: Node | None = None
            for p in self.predecessors[node]:
                if best is None:
                    best = p
                    continue
                a, b = best, p
                while a is not b:
                    if position[a] > position[b]:
                        a = idom[a]
                    else:
                        b = idom[b]
                best = a
            idom[node] = node if best is None else best
        return idom

    def release(self) -> None:
        """Free the graph from the loss side on; the caller has dropped loss and outputs."""
        self.successors.clear()
        self.predecessors.clear()
        self.position.clear()
        self.order.reverse()
        while self.order:
            self.order.pop()
