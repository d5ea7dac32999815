"""Order and dominators of the backward graph, against networkx."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import networkx
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck_cli.probing.capture import graph_of
from gradcheck_cli.probing.graph import Graph


@dataclass(eq=False)
class Fake:
    """Stands for an autograd node."""

    number: int
    next_functions: list = field(default_factory=list)


@settings(deadline=None)
@given(st.integers(2, 40), st.randoms(use_true_random=False))
def test_dominators_agree_with_networkx(size, dice):
    nodes = [Fake(i) for i in range(size)]
    for i in range(1, size):
        for j in {dice.randrange(max(0, i - dice.choice([1, 3, size])), i) for _ in range(dice.randint(1, 3))}:
            nodes[j].next_functions.append((nodes[i], 0))
    graph = Graph([nodes[0]])
    reference = networkx.DiGraph((n.number, following.number) for n in nodes for following, _ in n.next_functions)
    expected = networkx.immediate_dominators(reference, 0)
    found = {n.number: d.number for n, d in graph.dominators().items()}
    assert {k: v for k, v in found.items() if k} == {k: v for k, v in expected.items() if k}
    assert found[0] == 0
    position = {n.number: i for i, n in enumerate(graph.order)}
    assert all(position[u] < position[v] for u, v in reference.edges)


def test_dominators_of_a_residual_block():
    w1, w2 = (torch.ones(2, 2, requires_grad=True) for _ in range(2))
    h = torch.ones(1, 2) @ w1
    branch = torch.relu(h @ w2)
    out = h + branch
    idom = graph_of((out * 2).sum()).dominators()
    assert idom[h.grad_fn] is out.grad_fn
    assert idom[branch.grad_fn] is out.grad_fn


def test_a_weight_shared_by_many_steps_costs_no_square():
    """20,000 steps through one weight: a minute if each step walked to the root, a second here."""
    steps, weight = [Fake(i) for i in range(20_000)], Fake(-1)
    for i, step in enumerate(steps):
        step.next_functions = [(weight, 0), *([(steps[i + 1], 0)] if i + 1 < len(steps) else [])]
    graph = Graph([steps[0]])
    start = time.process_time()
    assert graph.dominators()[weight] is steps[0]
    assert time.process_time() - start < 10.0
