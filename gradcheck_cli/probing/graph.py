"""Walk the autograd graph: execution order, who owns an operation, and which nodes every gradient must pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Node = Any  # torch.autograd.graph.Node; its Python wrappers compare by identity as long as they are kept alive


class Graph:
    """The nodes reachable from the loss, in topological order (loss first), with predecessors and immediate dominators.

    Every node is kept alive until `release()`, which frees them from the loss side on: torch overflows the C stack when
    a chain of more than some 40,000 nodes that Python has looked at is freed in another order. Drop the loss and the
    outputs before that.
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

        A node dominates another if every gradient path from the loss to the other passes it. On a DAG in topological order one
        pass is exact: a node's dominator is the lowest common ancestor of its predecessors in the tree built so far.
        """
        tree = _Tree()
        for node in self.order:
            parent: Node | None = None
            for p in self.predecessors[node]:
                parent = p if parent is None else tree.common_ancestor(parent, p)
            tree.add(node, parent)
        return tree.parent

    def release(self) -> None:
        """Free the graph from the loss side on; the caller has dropped loss and outputs."""
        self.successors.clear()
        self.predecessors.clear()
        self.position.clear()
        self.order.reverse()
        while self.order:
            self.order.pop()


class _Tree:
    """A growing tree with common ancestors in O(log n): a weight shared by n steps has n predecessors.

    Each node has a pointer to its parent and one far up, spaced like the digits of a skew-binary number (Myers 1983, "An
    applicative random-access stack").
    """

    def __init__(self) -> None:
        self.parent: dict[Node, Node] = {}
        self._far: dict[Node, Node] = {}
        self._depth: dict[Node, int] = {}

    def add(self, node: Node, parent: Node | None) -> None:
        if parent is None:
            self.parent[node] = self._far[node] = node
            self._depth[node] = 0
            return
        far = self._far[parent]
        depth, further = self._depth, self._far[far]
        self.parent[node] = parent
        self._far[node] = further if depth[parent] - depth[far] == depth[far] - depth[further] else parent
        depth[node] = depth[parent] + 1

    def common_ancestor(self, a: Node, b: Node) -> Node:
        """The deepest node that is above, or is, both; they must hang under one root."""
        parent, far, depth = self.parent, self._far, self._depth
        if depth[a] < depth[b]:
            a, b = b, a
        while depth[a] > depth[b]:
            a = far[a] if depth[far[a]] >= depth[b] else parent[a]
        while a is not b:
            a, b = (far[a], far[b]) if far[a] is not far[b] else (parent[a], parent[b])
        return a
