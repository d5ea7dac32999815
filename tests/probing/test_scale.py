"""Cost grows with the number of layers and steps, not with its square; what a pass needs is given back."""

from __future__ import annotations

import gc
import time

import pytest
import torch
from measured import data, subject
from torch import nn

from gradcheck_cli.probing.probe import observe
from gradcheck_cli.probing.running import Measurer


def chain(layers):
    return nn.Sequential(*(m for _ in range(layers) for m in (nn.Linear(4, 4), nn.Tanh())), nn.Linear(4, 2)), data(3, 4)


def residual(layers):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(layers))

        def forward(self, x):
            for block in self.blocks:
                x = x + torch.tanh(block(x))
            return x

    return Residual(), data(3, 4)


def looped(layers):
    class Looped(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.GRUCell(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            state, seen = None, []
            for _ in range(layers):
                state = self.cell(x, state)
                seen.append(state)
            return self.head(torch.stack(seen, 1).mean(1))

    return Looped(), data(3, 4)


def seconds(build, layers):
    """Process time of one observed pass, the best of three; without collections, which read all that other tests left."""
    model, x = build(layers)
    made = subject(model, x)
    taken = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            measurer = Measurer(made, made.objectives[0], model, made.batches[0], seed=0)
            start = time.process_time()
            profile, _ = observe(measurer)
            taken.append(time.process_time() - start)
            model.zero_grad()
            assert profile.spines or build is looped
    finally:
        gc.enable()
    return min(taken)


@pytest.mark.parametrize(("build", "few"), [(chain, 80), (residual, 60), (looped, 40)])
def test_ten_times_the_layers_cost_about_ten_times_as_much(build, few):
    """Twenty-five leaves room for a busy machine; a square would be a hundred."""
    seconds(build, 20)
    assert seconds(build, 10 * few) < 25 * seconds(build, few)


def test_five_thousand_layers():
    model, x = chain(2500)
    made = subject(model, x)
    profile, _ = observe(Measurer(made, made.objectives[0], model, made.batches[0], seed=0))
    (spine,) = profile.spines
    assert len(spine.points) == 5001
    assert len(profile.layers) == 5002
    assert all(layer.gradient is not None for layer in profile.layers)


def alive(kind):
    return {id(o) for o in gc.get_objects() if isinstance(o, kind)}


def test_no_graph_is_kept():
    """After a pass no autograd node and no activation is left, with or without the garbage collector."""
    model, x = chain(50)
    made = subject(model, x)
    gc.collect()
    gc.disable()
    try:
        tensors, nodes = alive(torch.Tensor), alive(torch.autograd.graph.Node)
        profile, _ = observe(Measurer(made, made.objectives[0], model, made.batches[0], seed=0))
        model.zero_grad()
        assert profile.spines
        assert len(alive(torch.Tensor) - tensors) <= 2  # buffers that the statistics keep
        assert not alive(torch.autograd.graph.Node) - nodes
    finally:
        gc.enable()
