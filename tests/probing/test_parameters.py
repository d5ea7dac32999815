"""Parameters: fans, roles, ties, noise, rows touched."""

from __future__ import annotations

import pytest
import torch
from measured import classes, data, profile, projected
from torch import nn
from torch.nn import functional as F

LAYERS = {
    "linear": (lambda: nn.Linear(6, 4), (3, 6)),
    "conv1d": (lambda: nn.Conv1d(6, 4, 5), (2, 6, 9)),
    "conv2d": (lambda: nn.Conv2d(6, 4, (3, 2)), (2, 6, 7, 7)),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2), (2, 2, 4, 4, 4)),
    "grouped": (lambda: nn.Conv2d(6, 4, 3, groups=2), (2, 6, 7, 7)),
    "depthwise": (lambda: nn.Conv2d(6, 12, 3, groups=6), (2, 6, 7, 7)),
    "lstm": (lambda: nn.LSTM(6, 5), (4, 2, 6)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_fans_are_those_of_torch_init(name):
    build, shape = LAYERS[name]
    layer = build()
    found = profile(
        layer, data(*shape), loss=lambda output, _: (output[0] if isinstance(output, tuple) else output).square().sum()
    )
    assert found.parameters
    for parameter in found.parameters:
        value = dict(layer.named_parameters())[parameter.name]
        expected = nn.init._calculate_fan_in_and_fan_out(value) if value.ndim > 1 else (None, None)
        assert (parameter.fan_in, parameter.fan_out) == expected


def active(layer, x):
    """How many inputs one output depends on at most, and how many outputs one input reaches, by autograd."""
    x = x.requires_grad_(True)
    y = layer(x)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    middle = tuple(n // 2 for n in y.shape[2:])
    (seen,) = torch.autograd.grad(layer(x)[(0, 0, *middle)], x)
    return int((seen != 0).sum())


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_stores_its_inputs_first(groups):
    layer = nn.ConvTranspose2d(4, 6, 3, groups=groups, bias=False)
    (weight,) = profile(layer, data(1, 4, 9, 9)).parameters
    assert (weight.fan_in, weight.fan_out) == (4 * 9 // groups, 6 * 9 // groups)
    assert weight.fan_in == active(layer, data(1, 4, 9, 9))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.norm, self.head = nn.Embedding(20, 8), nn.LayerNorm(8), nn.Linear(8, 20)
        self.table = nn.Parameter(0.1 * data(5, 8))
        self.gate = nn.Parameter(torch.full((1, 1, 8), 0.5))
        self.mix = nn.Parameter(data(8, 8) / 3)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.embedding(tokens) + self.table * self.gate
        x, _ = self.rnn(self.norm(x) @ self.mix.T)
        return self.head(x)


def test_roles_and_ties():
    model = Tied()
    found = profile(model, classes((3, 5), 20))
    roles = {p.name: p.role for p in found.parameters}
    assert roles == {
        "embedding.weight": "embedding",
        "norm.weight": "scale",
        "norm.bias": "bias",
        "table": "other",
        "gate": "scale",
        "mix": "weight",
        "rnn.weight_ih_l0": "weight",
        "rnn.weight_hh_l0": "recurrent",
        "rnn.bias_ih_l0": "bias",
        "rnn.bias_hh_l0": "bias",
        "head.bias": "bias",
    }
    tied = found.parameter("embedding.weight")
    assert tied.aliases == ("head.weight",)
    assert found.parameter_count == sum(p.numel() for p in model.parameters())


def test_gradients_are_those_of_autograd():
    model, tokens = Tied(), classes((3, 5), 20)
    found = profile(model, tokens)
    assert all(p.grad is None for p in model.parameters())
    names, values = zip(*model.named_parameters(), strict=True)
    for name, gradient in zip(names, torch.autograd.grad(projected(model(tokens), None), values), strict=True):
        parameter = found.parameter(name)
        assert parameter.gradient.l2 == pytest.approx(gradient.double().norm().item(), rel=1e-5)
        assert parameter.gradient_l1 == pytest.approx(gradient.double().abs().sum().item(), rel=0.3)  # few elements
        assert parameter.state == "measured"


def test_states():
    class Parts(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.frozen, self.head, self.unused = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 2)
            self.frozen.requires_grad_(False)

        def forward(self, x):
            return self.head(torch.tanh(self.frozen(self.stem(x))))

    found = profile(Parts(), data(3, 4))
    states = {p.name.split(".")[0]: p.state for p in found.parameters}
    assert states == {"stem": "measured", "frozen": "frozen", "head": "measured", "unused": "unreached"}
    assert found.trainable_count == found.parameter_count - 20
    assert found.layer("frozen").state == "measured"  # a gradient crosses it
    assert found.layer("unused").state == "uncalled"


def test_a_bias_before_batch_norm_is_noise():
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 25, 5),
    ]
    found = profile(nn.Sequential(*layers), data(16, 3, 9, 9), classes(16, 5), loss="cross_entropy")
    noisy = {p.name for p in found.parameters if p.noise}
    assert noisy == {"0.bias"}


def test_a_key_bias_of_attention_is_noise():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key, self.value, self.head = (nn.Linear(16, 16) for _ in range(4))

        def forward(self, x):
            weights = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2) / 4, -1)
            return self.head(weights @ self.value(x))

    torch.manual_seed(0)
    for factor in (1.0, 1e-6, 1e6):
        found = profile(Attention(), data(8, 12, 16), loss=lambda y, _, f=factor: f * y.square().mean())
        assert {p.name for p in found.parameters if p.noise} == {"key.bias"}


@pytest.mark.parametrize("sparse", [False, True])
def test_rows_that_a_batch_looks_up(sparse):
    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(5000, 24, sparse=sparse), nn.Linear(24, 3)

        def forward(self, tokens):
            return self.head(self.embedding(tokens).mean(1))

    tokens = classes((4, 9), 5000)
    found = profile(Table(), tokens, classes(4, 3), loss="cross_entropy", exact=False)
    assert found.parameter("embedding.weight").touched_fraction == len(tokens.unique()) / 5000


def test_constant_and_identical_units():
    layer = nn.Linear(5, 4)
    for fill, constant, identical in [
        (lambda w: w.zero_(), True, True),
        (lambda w: w.fill_(0.3), True, True),
        (lambda w: w.copy_(torch.arange(5.0).expand(4, 5)), False, True),
        (lambda w: w.copy_(torch.arange(20.0).reshape(4, 5)), False, False),
        (lambda w: w.copy_(torch.cat([torch.ones(3, 5), torch.zeros(1, 5)])), False, False),
    ]:
        with torch.no_grad():
            fill(layer.weight)
        weight = profile(layer, data(3, 5)).parameter("weight")
        assert (weight.constant, weight.identical_units) == (constant, identical)


# --- the first update, against really stepping ------------------------------------------------------------------------

OPTIMIZERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.5}),
    ("Adam", {"lr": 1e-3}),
    ("Adam", {"lr": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 1e-3, "eps": 0.1, "betas": (0.5, 0.9)}),
    ("Adam", {"lr": 1e-3, "amsgrad": True}),
    ("AdamW", {"lr": 1e-3}),
    ("AdamW", {"lr": 1e-3, "weight_decay": 5.0}),
    ("Adamax", {"lr": 1e-3, "weight_decay": 0.1}),
    ("NAdam", {"lr": 1e-3, "weight_decay": 0.1}),
    ("NAdam", {"lr": 1e-3, "weight_decay": 5.0, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 1e-3, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 1e-3}),
    ("RMSprop", {"lr": 1e-3, "alpha": 0.5, "eps": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 1e-3, "centered": True}),
    ("Adagrad", {"lr": 1e-2, "initial_accumulator_value": 0.3, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 1e-2}),
    ("Adadelta", {"lr": 1.0, "weight_decay": 0.1}),
    ("ASGD", {"lr": 0.1, "weight_decay": 0.1}),
    ("Rprop", {"lr": 0.01}),
    ("Adafactor", {"lr": 1e-2}),
]


def described(optimizer):
    from gradcheck_cli.loading.optimizers import _options

    return type(optimizer).__name__, optimizer.param_groups[0]["lr"], _options(optimizer.param_groups[0])


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=lambda v: str(v)[:60])
def test_the_update_ratio_is_that_of_a_real_step(name, options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 40), nn.Tanh(), nn.LayerNorm(40), nn.Linear(40, 3)).double()
    x, y = data(8, 30, dtype=torch.float64), classes(8, 3)
    optimizer = getattr(torch.optim, name)(model.parameters(), **options)
    found = profile(model, x, y, loss="cross_entropy", optimizer=described(optimizer))
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
    for n, p in model.named_parameters():
        ratio = found.parameter(n).update_ratio
        if before[n].norm() == 0:
            assert ratio is None
            continue
        real = ((p.detach() - before[n]).norm() / before[n].norm()).item()
        assert ratio == pytest.approx(real, rel=0.25 if name == "Adafactor" else 2e-3)


def test_no_update_ratio_for_what_is_unknown():
    model, x = nn.Linear(4, 2), data(3, 4)
    assert all(p.update_ratio is None for p in profile(model, x).parameters)
    assert all(p.update_ratio is None for p in profile(model, x, optimizer=("LBFGS", 1.0, {})).parameters)


def test_a_sparse_gradient_moves_its_rows():
    table = nn.Embedding(50, 4, sparse=True)
    tokens = torch.tensor([3, 3, 7])
    loss = lambda output, _: (output * data(3, 4)).sum()
    for kind, rate in ((torch.optim.SGD, 0.1), (torch.optim.SparseAdam, 1e-3)):
        before = table.weight.detach().clone()
        optimizer = kind(table.parameters(), lr=rate)
        (weight,) = profile(table, tokens, loss=loss, optimizer=described(optimizer)).parameters
        loss(table(tokens), None).backward()
        optimizer.step()
        optimizer.zero_grad()
        assert weight.update_ratio == pytest.approx(((table.weight.detach() - before).norm() / before.norm()).item(), rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_parameters(dtype):
    model = nn.Linear(300, 500).to(dtype)  # more than one chunk
    found = profile(model, data(4, 300).to(dtype), optimizer=("Adam", 1e-3, {}))
    weight = found.parameter("weight")
    assert weight.update_ratio == pytest.approx(1e-3 / weight.value.rms, rel=0.02)
