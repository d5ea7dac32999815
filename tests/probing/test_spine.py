"""The spine against plain autograd: which tensors it passes, and the gain of each part."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from measured import classes, data, profile, projected
from torch import nn
from torch.nn import functional as F


def oracle(model, inputs, loss=projected, target=None):
    """L2 of the gradient at every module's output (first call), by plain autograd on plain hooks."""
    outputs = {}
    names = {module: name for name, module in model.named_modules()}

    def keep(module, args, output):
        if isinstance(output, torch.Tensor) and output.requires_grad:
            outputs.setdefault(names[module], output)

    handles = [module.register_forward_hook(keep) for module in model.modules()]
    torch.manual_seed(0)
    value = loss(model(*inputs), target)
    for handle in handles:
        handle.remove()
    gradients = torch.autograd.grad(value, list(outputs.values()), allow_unused=True)
    return {n: g.double().norm().item() for n, g in zip(outputs, gradients, strict=True) if g is not None}


def chain_of(depth, width, activation, dice):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width), activation()]
    model = nn.Sequential(*layers, nn.Linear(width, 3))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=dice) * (1.3 / math.sqrt(width)))
    return model


@given(
    depth=st.integers(1, 12),
    width=st.integers(2, 9),
    activation=st.sampled_from([nn.Tanh, nn.Sigmoid, nn.GELU, nn.Softplus, nn.Softsign]),
    scale=st.sampled_from([1e-12, 1.0, 1e12]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_gains_of_a_chain_add_up_to_what_autograd_measures(depth, width, activation, scale, seed):
    model = chain_of(depth, width, activation, torch.Generator().manual_seed(seed)).double()
    x = data(4, width, seed=seed, dtype=torch.float64)
    loss = lambda output, target: projected(output, target) * scale
    (spine,) = profile(model, x, loss=loss).spines
    truth = oracle(model, (x,), loss)
    assert [p.layer for p in spine.points] == [str(i) for i in reversed(range(2 * depth + 1))]
    assert [p.l2 for p in spine.points] == pytest.approx([truth[p.layer] for p in spine.points], rel=1e-9)
    assert spine.drop == pytest.approx(math.log10(truth[str(2 * depth)]) - math.log10(truth["0"]), abs=1e-9)
    assert not any(s.bypassed for s in spine.segments)
    for segment, (after, before) in zip(spine.segments, itertools.pairwise(spine.points), strict=True):
        assert segment.layer == after.layer
        assert segment.log10_gain == pytest.approx(math.log10(before.l2 / after.l2), abs=1e-9)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        return x + self.second(torch.tanh(self.first(x)))


class Residual(nn.Module):
    def __init__(self, width=8, depth=4):
        super().__init__()
        self.stem = nn.Linear(width, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def test_the_spine_of_a_residual_network_is_its_stream():
    torch.manual_seed(0)
    model, x = Residual().double(), data(4, 8, dtype=torch.float64)
    found = profile(model, x)
    (spine,) = found.spines
    assert spine.entry == "stem"
    assert [p.layer for p in spine.points] == ["head", "blocks.3", "blocks.2", "blocks.1", "blocks.0", "stem"]
    assert [s.bypassed for s in spine.segments] == [False, True, True, True, True]
    truth = oracle(model, (x,))
    assert [p.l2 for p in spine.points] == pytest.approx([truth[p.layer] for p in spine.points], rel=1e-9)
    measured = {layer.name: layer.gradient.l2 for layer in found.layers if layer.gradient and not layer.functional}
    assert measured == pytest.approx({n: v for n, v in truth.items() if n in measured}, rel=1e-6)
    assert {"blocks.0.first", "blocks.3.second"} <= set(measured)  # branches are measured, though not on the spine


class Functional(nn.Module):
    """The same network as `Modules`, its activations called as functions."""

    def __init__(self, depth=6):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = (torch.sigmoid, F.relu, torch.tanh)[i % 3](layer(x))
        return x


class Modules(Functional):
    def __init__(self, depth=6):
        super().__init__(depth)
        self.activations = nn.ModuleList((nn.Sigmoid, nn.ReLU, nn.Tanh)[i % 3]() for i in range(depth))

    def forward(self, x):
        for layer, activation in zip(self.layers, self.activations, strict=True):
            x = activation(layer(x))
        return x


def test_functional_and_module_activations_give_the_same_spine():
    torch.manual_seed(1)
    functional, modules = Functional(), Modules()
    modules.load_state_dict(functional.state_dict())
    x = data(6, 8)
    (one,), (other,) = profile(functional, x).spines, profile(modules, x).spines
    assert [p.l2 for p in one.points] == [p.l2 for p in other.points]
    assert one.drop == other.drop
    assert [p.layer for p in one.points] == [
        "/tanh#2", "layers.5", "/relu#2", "layers.4", "/sigmoid#2", "layers.3",
        "/tanh", "layers.2", "/relu", "layers.1", "/sigmoid", "layers.0",
    ]  # fmt: skip
    assert [p.role for p in one.points] == [p.role for p in other.points]
    assert [p.kind for p in one.points[:2]] == ["tanh", "Linear"]


class Stacked(nn.Module):
    """Blocks that end in a function, as most people write them."""

    def __init__(self, act):
        super().__init__()
        self.linear, self.act = nn.Linear(8, 8), act

    def forward(self, x):
        return self.act(self.linear(x))


def test_a_function_at_the_end_of_a_block_is_named():
    """Not the block is to blame for what its sigmoid loses."""
    torch.manual_seed(0)
    model = nn.Sequential(*(Stacked(torch.sigmoid) for _ in range(3)), nn.Linear(8, 2))
    found, x = profile(model, data(6, 8)), data(6, 8)
    (spine,) = found.spines
    assert [(p.layer, p.kind, p.role) for p in spine.points[1:3]] == [
        ("2/sigmoid", "sigmoid", "activation"),
        ("2.linear", "Linear", "linear"),
    ]
    truth = oracle(model, (x,))
    for i in range(3):
        operation, block = found.layer(f"{i}/sigmoid"), found.layer(str(i))
        assert (operation.functional, operation.parent, operation.units.activation) == (True, str(i), "sigmoid")
        assert operation.gradient.l2 == block.gradient.l2 == pytest.approx(truth[str(i)], rel=1e-6)
        assert operation.output.l2 == pytest.approx(block.output.l2)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 6), nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 6))
        self.join, self.head = nn.Linear(12, 6), nn.Linear(6, 2)

    def forward(self, a, b):
        return self.head(torch.tanh(self.join(torch.cat([self.left(a), self.right(b)], 1))))


def test_two_inputs_are_two_entries():
    torch.manual_seed(0)
    model, inputs = TwoInputs().double(), (data(3, 4, dtype=torch.float64), data(3, 5, dtype=torch.float64, seed=1))
    spines = {s.entry: s for s in profile(model, inputs).spines}
    assert set(spines) == {"left", "right.0"}
    truth = oracle(model, inputs)
    for entry, spine in spines.items():
        assert spine.points[0].layer == "head"
        assert spine.drop == pytest.approx(math.log10(truth["head"] / truth[entry]), abs=1e-9)
        assert "join" in {p.layer for p in spine.points}
    assert not {"right", "right.2"} & {p.layer for p in spines["left"].points}


class OwnLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.criterion = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), nn.CrossEntropyLoss()

    def forward(self, x, y):
        return 1e-6 * self.criterion(self.body(x).log_softmax(1), y)


def test_a_loss_inside_the_forward_is_cut_off():
    torch.manual_seed(0)
    model, inputs = OwnLoss(), (data(8, 4), classes(8, 3))
    (spine,) = profile(model, inputs, loss=lambda output, target: output).spines
    assert [p.layer for p in spine.points] == ["body.2", "body.1", "body.0"]


def test_no_gradient_at_all_is_a_drop_without_end():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
    nn.init.constant_(model[0].bias, -1e3)
    (spine,) = profile(model, data(5, 4)).spines
    by_layer = {p.layer: p.l2 for p in spine.points}
    assert by_layer["0"] == 0.0
    assert by_layer["1"] > 0.0
    assert spine.drop > 200
    assert all(math.isfinite(s.log10_gain) for s in spine.segments)


def test_a_layer_used_twice_counts_by_its_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.shared, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(torch.tanh(self.shared(torch.tanh(self.shared(self.stem(x))))))

    torch.manual_seed(0)
    (spine,) = profile(Twice(), data(3, 4)).spines
    assert [(p.layer, p.call) for p in spine.points if p.layer == "shared"] == [("shared", 1), ("shared", 0)]


@pytest.mark.parametrize(
    "wrap", [lambda m: m, lambda m: nn.Sequential(m), lambda m: nn.Sequential(nn.Sequential(nn.Identity(), m))]
)
def test_containers_do_not_change_the_drop(wrap):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(6, 6), nn.Sigmoid(), nn.Linear(6, 6), nn.Sigmoid(), nn.Linear(6, 2))
    x = data(4, 6)
    (spine,) = profile(wrap(body), x).spines
    truth = oracle(body, (x,))
    assert spine.drop == pytest.approx(math.log10(truth["4"] / truth["0"]), abs=1e-6)


def stationary_gain(spine, keep=slice(8, -8)):
    """Mean gain of a layer with its activation, in the middle of a deep chain."""
    linear = [p for p in spine.points if p.role == "linear"][keep]
    return 10 ** (math.log10(linear[-1].l2 / linear[0].l2) / (len(linear) - 1))


@pytest.mark.parametrize(
    ("activation", "initialise", "theory"),
    [
        (nn.ReLU, lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), 1.0),
        (nn.Identity, lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5)), 1 / math.sqrt(3)),
    ],
)
def test_gains_agree_with_mean_field_theory(activation, initialise, theory):
    """ReLU with He weights keeps the gradient; torch's default Linear keeps 0.577 of it."""
    torch.manual_seed(0)
    width, layers = 192, []
    for _ in range(28):
        linear = nn.Linear(width, width, bias=False)
        initialise(linear.weight)
        layers += [linear, activation()]
    gains = [
        stationary_gain(profile(nn.Sequential(*layers), data(32, width, seed=s), exact=False, seed=s).spines[0])
        for s in range(2)
    ]
    assert sum(gains) / 2 == pytest.approx(theory, rel=0.03)
