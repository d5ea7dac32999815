"""What a module or an autograd node is taken for, and the figures that go with it."""

from __future__ import annotations

import pytest
import torch
from measured import data
from torch import nn
from torch.nn import functional as F

from gradcheck_cli.probing.kinds import BEST_GAIN, activation_node, activation_of, limits_of, node_name, role_of, role_of_node

ACTIVATIONS = {  # kind: (module, functions)
    "relu": (nn.ReLU(), [torch.relu, F.relu, lambda x: x.clamp(min=0), lambda x: x.clamp_min(0)]),
    "leaky_relu": (nn.LeakyReLU(), [F.leaky_relu]),
    "elu": (nn.ELU(), [F.elu]),
    "selu": (nn.SELU(), [F.selu, torch.selu]),
    "celu": (nn.CELU(), [F.celu]),
    "gelu": (nn.GELU(), [F.gelu, lambda x: F.gelu(x, approximate="tanh")]),
    "silu": (nn.SiLU(), [F.silu]),
    "mish": (nn.Mish(), [F.mish]),
    "softplus": (nn.Softplus(), [F.softplus]),
    "sigmoid": (nn.Sigmoid(), [torch.sigmoid, lambda x: x.sigmoid()]),
    "hardsigmoid": (nn.Hardsigmoid(), [F.hardsigmoid]),
    "log_sigmoid": (nn.LogSigmoid(), [F.logsigmoid]),
    "tanh": (nn.Tanh(), [torch.tanh]),
    "hardtanh": (nn.Hardtanh(), [F.hardtanh]),
    "relu6": (nn.ReLU6(), [F.relu6, lambda x: x.clamp(0, 6), lambda x: F.hardtanh(x, 0.0, 1.0)]),
    "hardswish": (nn.Hardswish(), [F.hardswish]),
    "softsign": (nn.Softsign(), []),
    "erf": (None, [torch.erf]),
    "threshold": (nn.Threshold(0.0, 0.0), [lambda x: F.threshold(x, 0.0, 0.0)]),
    "softmax": (nn.Softmax(-1), [lambda x: x.softmax(-1), lambda x: F.softmax(x, -1)]),
    "log_softmax": (nn.LogSoftmax(-1), [lambda x: x.log_softmax(-1)]),
    "glu": (nn.GLU(), [F.glu]),
    "prelu": (nn.PReLU(), [lambda x: F.prelu(x, torch.tensor([0.2]))]),
    "rrelu": (nn.RReLU(), [lambda x: F.rrelu(x, training=True), F.rrelu]),
}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations_are_known_as_modules_and_as_functions(kind):
    module, functions = ACTIVATIONS[kind]
    if module is not None:
        assert (activation_of(module), role_of(module)) == (kind, "activation")
    x = data(3, 4).requires_grad_(True)
    for function in functions:
        node = function(x).grad_fn
        if kind == "rrelu" and node_name(node).startswith("leaky"):
            continue  # outside training torch runs it as a leaky relu
        assert (activation_node(node), role_of_node(node)) == (kind, "activation")


@pytest.mark.parametrize("kind", [k for k, gain in BEST_GAIN.items() if gain is not None])
def test_the_best_gain_is_the_largest_derivative(kind):
    module, functions = ACTIVATIONS[kind]
    function = functions[0] if functions else module
    x = torch.linspace(-12, 12, 400_001, dtype=torch.float64).requires_grad_(True)
    (derivative,) = torch.autograd.grad(function(x).sum(), x)
    assert BEST_GAIN[kind] == pytest.approx(derivative.max().item(), rel=1e-3)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.clamp(min=1e-6),
        lambda x: x.clamp(-1, 1),
        lambda x: x.clamp(max=0.0),
        lambda x: torch.maximum(x, torch.ones(4)),
        torch.exp,
    ],
)
def test_other_bounds_are_no_activation(function):
    assert activation_node(function(data(3, 4).requires_grad_(True)).grad_fn) is None


def test_limits():
    x = data(3, 4).requires_grad_(True)
    assert limits_of(x.clamp(-2, 3).grad_fn) == (-2, 3)
    assert limits_of(F.hardtanh(x, -2.0, 3.0).grad_fn) == (-2.0, 3.0)
    assert limits_of(x.clamp(min=0.0).grad_fn) == (0.0, None)
    assert limits_of(x.clamp(min=torch.zeros(4)).grad_fn) is None
    assert limits_of(x.exp().grad_fn) is None


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))


class NoisyLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))


class Swish(nn.ReLU):
    """A subclass may compute anything: not taken for what it descends from."""


@pytest.mark.parametrize(
    ("module", "role"),
    [
        (nn.Linear(2, 2), "linear"),
        (nn.Conv2d(2, 2, 1), "linear"),
        (nn.ConvTranspose1d(2, 2, 1), "linear"),
        (nn.Bilinear(2, 2, 2), "linear"),
        (nn.BatchNorm1d(2), "norm"),
        (nn.LayerNorm(2), "norm"),
        (nn.GroupNorm(1, 2), "norm"),
        (nn.InstanceNorm2d(2), "norm"),
        (RMSNorm(), "norm"),
        (nn.LSTM(2, 2), "recurrent"),
        (nn.GRUCell(2, 2), "recurrent"),
        (nn.Embedding(2, 2), "embedding"),
        (nn.MultiheadAttention(2, 1), "attention"),
        (nn.MaxPool2d(2), "shape"),
        (nn.Dropout(), "shape"),
        (nn.Flatten(), "shape"),
        (nn.Sequential(nn.ReLU()), "container"),
        (NoisyLinear(), "linear"),
        (Swish(), "other"),
        (nn.Module(), "other"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else v,
)
def test_roles(module, role):
    assert role_of(module) == role


def test_roles_of_operations():
    x, w = data(3, 4).requires_grad_(True), data(4, 4).requires_grad_(True)
    image = data(1, 2, 6, 6).requires_grad_(True)
    expected = {
        "linear": [x @ w, F.linear(x, w), torch.bmm(x[None], w[None]), F.conv2d(image, data(2, 2, 1, 1))],
        "shape": [x.reshape(2, 6), x.T, x[0], x.sum(), image.mean((2, 3)), torch.cat([x, x]), F.max_pool2d(image, 2)],
        "norm": [F.layer_norm(x, (4,)), F.batch_norm(x, None, None, training=True), F.group_norm(image, 1)],
        "other": [x + 1, x * x, x.exp(), x / 2],
        "attention": [F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None])],
    }
    for role, outputs in expected.items():
        for output in outputs:
            assert role_of_node(output.grad_fn) == role, output.grad_fn
