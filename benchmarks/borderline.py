"""Twenty small networks that stand near a limit of a rule: one knob of each is set so that seeds fall on both sides of it.

Each is a model file as a user would write it; the scan's seed draws weights and data. The knobs were turned on seeds 0 to 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import Literal

_STACK = """import torch
from torch import nn

WIDTH = $width
layers = []
for i in range($depth):
    layer = nn.Linear(32 if i == 0 else WIDTH, WIDTH)
    $init
    layers += [layer, $behind]
model = nn.Sequential(*layers, nn.Linear(WIDTH, 10))
loss_fn = nn.CrossEntropyLoss()


def get_batch():
    return torch.randn($batch, 32), torch.randint(0, 10, ($batch,))
"""

_CONVOLUTIONS = """import torch
from torch import nn

layers = []
for i in range($depth):
    layers += [nn.Conv2d(3 if i == 0 else 16, 16, 3, padding=1), nn.ReLU()]
model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
loss_fn = nn.CrossEntropyLoss()


def get_batch():
    return torch.randn(32, 3, 8, 8), torch.randint(0, 10, (32,))
"""

_READER = """import torch
from torch import nn


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.$cell(16, $width, batch_first=True)
        $init
        self.head = nn.Linear($width, $outputs)

    def forward(self, x):
        return self.head(self.rnn(x)[0]$read)


model = Reader()
loss_fn = nn.$loss()


def get_batch():
    return torch.randn($batch, $steps, 16), $target
"""

_PERCEPTRON = """import torch
from torch import nn

WIDTH = $width
model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))
$extra
loss_fn = nn.CrossEntropyLoss()


def get_batch():
    return torch.randn($batch, 32), torch.randint(0, 10, ($batch,))
"""

_REGRESSOR = """import torch
from torch import nn

model = nn.Sequential(nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 1)$last)
loss_fn = nn.MSELoss()


def get_batch():
    return $scale * torch.randn($batch, 16), $target
"""

_MIXER = """import torch
from torch import nn


class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(32, 32)
        nn.init.orthogonal_(self.linear.weight)

    def forward(self, x):
        x = torch.relu(self.linear(x)) * 2**0.5
        return $share * x.mean(0) + (1 - $share) * x


model = nn.Sequential(*[Mixing() for _ in range(10)], nn.Linear(32, 10))
loss_fn = nn.CrossEntropyLoss()


def get_batch():
    return torch.randn(256, 32), torch.randint(0, 10, (256,))
"""

_USUAL: Mapping[str, Mapping[str, object]] = {
    _STACK: {"width": 64, "batch": 256, "init": "pass", "behind": "nn.ReLU()"},
    _READER: {"cell": "RNN", "width": 32, "batch": 32, "init": "pass", "read": "[:, -1]", "outputs": 10,
              "loss": "CrossEntropyLoss", "target": "torch.randint(0, 10, (32,))"},
    _PERCEPTRON: {"width": 64, "batch": 256},
    _REGRESSOR: {"batch": 64, "last": "", "scale": 1.0, "target": "torch.randn(64, 1)"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Borderline:
    """A model near a limit of `rule`; `fail_on` is the least severity with which that limit turns the exit code."""

    name: str
    rule: str
    source: str  # the text of the model file
    fail_on: Literal["error", "warning"] = "error"


def _made(name: str, rule: str, template: str, **knobs: object) -> Borderline:
    return Borderline(name, rule, Template(template).substitute({**_USUAL.get(template, {}), **knobs}))


def _warned(name: str, rule: str, template: str, **knobs: object) -> Borderline:
    made = _made(name, rule, template, **knobs)
    return Borderline(made.name, made.rule, made.source, "warning")


MODELS = (
    _made("sigmoid MLP, 6 layers", "GC101", _STACK, depth=6, width=16, behind="nn.Sigmoid()",
          init="nn.init.normal_(layer.weight, std=0.136)"),
    _made("tanh MLP, small weights", "GC101", _STACK, depth=10, width=16, behind="nn.Tanh()",
          init="nn.init.normal_(layer.weight, std=0.075)"),
    _made("ReLU MLP, 17 layers", "GC101", _STACK, depth=17, width=160),
    _made("plain CNN, 14 layers", "GC101", _CONVOLUTIONS, depth=14),
    _made("SELU MLP, large weights", "GC102", _STACK, depth=16, width=24, behind="nn.SELU()",
          init="nn.init.xavier_normal_(layer.weight, gain=2.56)"),
    _made("MLP of 66 BatchNorms", "GC102", _STACK, depth=66, width=32, batch=32, behind="nn.BatchNorm1d(WIDTH), nn.ReLU()"),
    _made("RNN, loss at the last step", "GC103", _READER, steps=76, width=64),
    _made("RNN, loss at every step", "GC103", _READER, steps=145, batch=16, read="", outputs=1, loss="MSELoss",
          target="torch.randn(16, 145, 1)"),
    _made("GRU with gates half shut", "GC103", _READER, cell="GRU", steps=60,
          init="nn.init.constant_(self.rnn.bias_ih_l0[:64], -1.75)"),
    _made("RNN, large weights", "GC104", _READER, steps=40, width=32,
          init="nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=2.6)"),
    _made("Adam, large learning rate", "GC106", _PERCEPTRON, width=80, batch=512,
          extra="optimizer = torch.optim.Adam(model.parameters(), lr=0.0717)"),
    _made("SGD, large learning rate", "GC106", _PERCEPTRON, width=80, batch=512,
          extra="optimizer = torch.optim.SGD(model.parameters(), lr=82.0)"),
    _made("ReLU, negative bias", "GC201", _PERCEPTRON, extra="nn.init.constant_(model[2].bias, -0.88)"),
    _made("tanh MLP, large weights", "GC202", _STACK, depth=3, width=48, behind="nn.Tanh()",
          init="nn.init.xavier_normal_(layer.weight, gain=3.7)"),
    _made("raw inputs", "GC601", _REGRESSOR, scale=50.3),
    _made("targets beyond a tanh", "GC606", _REGRESSOR, batch=128, last=", nn.Tanh()",
          target="1.21 * (2 * torch.rand(128, 1) - 1)"),
    _made("targets in thousands", "GC607", _REGRESSOR, target="1020 * torch.randn(64, 1)"),
    _warned("mixing samples", "GC203", _MIXER, share=0.38),
    _warned("one small layer", "GC301", _STACK, depth=6, width=32,
            init="nn.init.kaiming_normal_(layer.weight)\n    layer.weight.data *= 0.099 if i == 2 else 1.0"),
    _warned("sure of its guess", "GC602", _STACK, depth=2, width=32, batch=64,
            init="nn.init.xavier_normal_(layer.weight, gain=8.0)"),
)  # fmt: skip
