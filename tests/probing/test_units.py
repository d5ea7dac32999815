"""Dead and saturated units against brute force."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from measured import data, profile
from torch import nn
from torch.nn import functional as F

from gradcheck_cli.probing.units import FLAT, unit_facts

BOUNDED = {
    "sigmoid": (torch.sigmoid, 0.25),
    "tanh": (torch.tanh, 1.0),
    "softsign": (F.softsign, 1.0),
    "hardtanh": (F.hardtanh, 1.0),
    "hardsigmoid": (F.hardsigmoid, 1 / 6),
    "erf": (torch.erf, 1.1284),
}


def flat_part(function, best, x):
    """Where the derivative is below FLAT of the best one, by autograd."""
    x = x.double().requires_grad_(True)
    (derivative,) = torch.autograd.grad(function(x).sum(), x)
    return derivative.abs() < FLAT * best


@given(
    kind=st.sampled_from(sorted(BOUNDED)),
    shape=st.sampled_from([(7, 5), (64, 33), (4, 6, 9), (2, 3, 5, 7), (1, 8)]),
    unit_dim=st.sampled_from([1, -1]),
    scale=st.floats(0.01, 30),
    seed=st.integers(0, 500),
)
@settings(max_examples=60, deadline=None)
def test_saturation_agrees_with_the_derivative(kind, shape, unit_dim, scale, seed):
    function, best = BOUNDED[kind]
    dim = unit_dim % len(shape)
    dice = torch.Generator().manual_seed(seed)
    sizes = [1] * len(shape)
    sizes[dim] = shape[dim]
    x = torch.randn(shape, generator=dice) * scale * torch.rand(sizes, generator=dice)  # each unit at its own size
    facts = unit_facts(kind, function(x), dim, before=x)
    flat = flat_part(function, best, x).movedim(dim, -1).reshape(-1, shape[dim])
    assert facts.units == shape[dim]
    assert facts.saturated_fraction == pytest.approx(flat.double().mean().item(), abs=1e-6)
    assert facts.saturated_units == pytest.approx((flat.double().mean(0) >= 0.95).double().mean().item(), abs=1e-6)
    assert facts.best_gain == pytest.approx(best, rel=1e-3)


@given(
    shape=st.sampled_from([(7, 5), (500, 300), (4, 6, 9), (3, 16, 40, 40), (2, 100_000)]),
    unit_dim=st.sampled_from([1, -1]),
    dead=st.floats(0, 1),
    rarely=st.integers(0, 2),
    seed=st.integers(0, 500),
)
@settings(max_examples=40, deadline=None)
def test_dead_units_are_exact(shape, unit_dim, dead, rarely, seed):
    """Also where a unit fires once in a large tensor that is otherwise only sampled."""
    dim = unit_dim % len(shape)
    dice = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=dice).movedim(dim, -1).reshape(-1, shape[dim])
    x[:, torch.rand(shape[dim], generator=dice) < dead] = -1.0
    for _ in range(rarely):
        at = [int(torch.randint(n, (), generator=dice)) for n in x.shape]
        x[at[0], at[1]] = 3.0
    y = torch.relu(x).reshape(*shape[:dim], *shape[dim + 1 :], shape[dim]).movedim(-1, dim)
    facts = unit_facts("relu", y, dim)
    truth = (torch.relu(x) == 0).all(0).double().mean().item()
    assert facts.dead_fraction == pytest.approx(truth, abs=1e-6)
    assert (facts.saturated_fraction, facts.saturated_units) == (None, None)


def test_saturation_of_a_wide_layer_is_not_read_off_one_sample():
    x = torch.full((64, 8192), 0.1)
    x[0] = 50.0  # the first sample alone is saturated
    facts = unit_facts("tanh", torch.tanh(x), 1)
    assert facts.saturated_units == 0.0
    assert facts.saturated_fraction == pytest.approx(1 / 64)


@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_a_threshold_that_replaces_by_a_number_has_no_dead_units(low):
    x = data(16, 4)
    y = F.threshold(x, low, 20.0)
    assert unit_facts("threshold", y, 1).dead_fraction == 0.0
    assert unit_facts("threshold", F.threshold(-x.abs(), low, 0.0), 1).dead_fraction == (
        0.0 if low < 0 else 1.0
    )  # negative outputs are alive


def test_what_has_no_units():
    assert unit_facts("relu", torch.zeros(5), 0) is None
    assert unit_facts("relu", torch.zeros(0, 5), 1) is None
    assert unit_facts("relu", torch.zeros(2, 2, dtype=torch.int64), 1) is None


class Convolutions(nn.Module):
    def __init__(self, functional):
        super().__init__()
        self.functional = functional
        self.conv, self.norm, self.act, self.head = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Linear(8, 2)
        with torch.no_grad():
            self.norm.bias[:5] = -100.0  # five of eight channels never fire

    def forward(self, x):
        x = self.norm(self.conv(x))
        x = F.relu(x) if self.functional else self.act(x)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("functional", [False, True])
def test_channels_are_the_units_of_a_convolution(functional):
    torch.manual_seed(0)
    found = profile(Convolutions(functional), data(4, 3, 9, 9))
    facts = found.layer("/relu" if functional else "act").units
    assert (facts.activation, facts.units) == ("relu", 8)
    assert facts.dead_fraction == pytest.approx(5 / 8)


class Called(nn.Module):
    """One linear layer and a function behind it."""

    def __init__(self, function, scale):
        super().__init__()
        self.linear, self.head, self.function = nn.Linear(6, 10), nn.Linear(10, 2), function
        with torch.no_grad():
            self.linear.weight.mul_(scale)

    def forward(self, x):
        return self.head(self.function(self.linear(x)))


FUNCTIONS = {
    "relu": [torch.relu, F.relu, torch.relu_, lambda x: x.clamp(min=0), lambda x: x.relu(), nn.ReLU(), nn.ReLU(inplace=True)],
    "sigmoid": [torch.sigmoid, lambda x: x.sigmoid(), F.sigmoid, nn.Sigmoid()],
    "tanh": [torch.tanh, F.tanh, nn.Tanh()],
    "hardtanh": [F.hardtanh, nn.Hardtanh(), lambda x: F.hardtanh(x, -2.0, 2.0), nn.Hardtanh(-2.0, 2.0)],
    "hardsigmoid": [F.hardsigmoid, nn.Hardsigmoid()],
}


@pytest.mark.parametrize("scale", [0.01, 1.0, 8.0])
@pytest.mark.parametrize(
    ("kind", "function"), [(kind, f) for kind, functions in FUNCTIONS.items() for f in functions], ids=lambda v: str(v)[:20]
)
@pytest.mark.parametrize("leading", [(24,), (4, 6)])
def test_functions_and_modules_are_read_alike(kind, function, scale, leading):
    if function is torch.relu_ and len(leading) > 1:
        pytest.skip("the output of a linear layer is a view here: autograd hides what edits it in place")
    torch.manual_seed(0)
    model, x = Called(function, scale), data(*leading, 6)
    found = profile(model, x)
    name = "function" if isinstance(function, nn.Module) else f"/{kind}"
    facts = found.layer(name).units
    before = model.linear(x).detach()
    assert (facts.activation, facts.units) == (kind, 10)
    if kind == "relu":
        assert facts.dead_fraction == pytest.approx((before <= 0).flatten(0, -2).all(0).double().mean().item())
    else:
        best = BOUNDED[kind][1]
        share = flat_part(function, best, before).double().mean().item()
        assert facts.saturated_fraction == pytest.approx(share, abs=1e-6)
