"""Healthy networks on vectors: shallow classics, networks with their own initialisation, and tabular models."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch
from zoo.batches import flags, values, vectors
from zoo.cases import BINARY, CLASSIFY, NEGATIVE_LOG_LIKELIHOOD, REGRESS, Case, MakeBatch, healthy


def mlp(depth: int, activation: type[nn.Module], width: int = 64, init: str = "", inputs: int = 32, out: int = 10):
    """`depth` hidden layers; `init` "" keeps PyTorch's default."""
    sizes = [inputs] + [width] * depth
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), activation()]
    net = nn.Sequential(*layers, nn.Linear(width, out))
    for module in net if init else ():
        if isinstance(module, nn.Linear):
            {"he": nn.init.kaiming_normal_, "xavier": nn.init.xavier_normal_, "orthogonal": nn.init.orthogonal_}.get(
                init, lambda w: nn.init.normal_(w, std=w.shape[1] ** -0.5)
            )(module.weight)
            nn.init.zeros_(module.bias)
    return net


def normalised_mlp(depth: int, norm: type[nn.Module], width: int = 64) -> nn.Module:
    """Linear, norm, ReLU repeated, with dropout before the head."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(32 if i == 0 else width, width), norm(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Dropout(0.1), nn.Linear(width, 10))


class Siren(nn.Module):
    """Sine network with its own initialisation (Sitzmann 2020)."""

    def __init__(self, inputs: int = 2, width: int = 64, depth: int = 4, omega: float = 30.0):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(inputs if i == 0 else width, width) for i in range(depth))
        self.out, self.omega = nn.Linear(width, 3), omega
        for i, layer in enumerate([*self.layers, self.out]):
            bound = 1 / inputs if i == 0 else math.sqrt(6 / width) / omega
            nn.init.uniform_(layer.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sin(self.omega * layer(x))
        return self.out(x)


class NeRF(nn.Module):
    """Positional encoding, eight ReLU layers with a skip at the fifth, density and colour heads."""

    def __init__(self, width: int = 64, frequencies: int = 6):
        super().__init__()
        encoded = 3 + 6 * frequencies
        self.frequencies = frequencies
        self.first = nn.ModuleList([nn.Linear(encoded, width), *[nn.Linear(width, width) for _ in range(3)]])
        self.second = nn.ModuleList([nn.Linear(width + encoded, width), *[nn.Linear(width, width) for _ in range(3)]])
        self.density, self.colour = nn.Linear(width, 1), nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 3))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        waves = [f(2**k * x) for k in range(self.frequencies) for f in (torch.sin, torch.cos)]
        h = encoded = torch.cat([x, *waves], -1)
        for layer in self.first:
            h = F.relu(layer(h))
        h = torch.cat([h, encoded], -1)
        for layer in self.second:
            h = F.relu(layer(h))
        return torch.cat([torch.sigmoid(self.colour(h)), F.softplus(self.density(h))], -1)


class Highway(nn.Module):
    """Twenty gated layers whose carry gates start open (bias -2)."""

    def __init__(self, width: int = 48, depth: int = 20):
        super().__init__()
        self.inp, self.out = nn.Linear(32, width), nn.Linear(width, 10)
        self.plain = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.gates = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        for gate in self.gates:
            nn.init.constant_(gate.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        for plain, gate in zip(self.plain, self.gates, strict=True):
            t = torch.sigmoid(gate(x))
            x = t * F.relu(plain(x)) + (1 - t) * x
        return self.out(x)


class ResidualMLP(nn.Module):
    """Tabular residual network: norm, linear, ReLU, dropout, linear, addition; `rezero` gates each branch with 0."""

    def __init__(self, depth: int = 6, width: int = 48, rezero: bool = False):
        super().__init__()
        self.inp, self.norm, self.out = nn.Linear(32, width), nn.LayerNorm(width), nn.Linear(width, 10)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Identity() if rezero else nn.BatchNorm1d(width),
                nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(2 * width, width),
            )
            for _ in range(depth)
        )  # fmt: skip
        self.gates = nn.Parameter(torch.zeros(depth)) if rezero else torch.ones(depth)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        for gate, block in zip(self.gates, self.blocks, strict=True):
            x = x + gate * block(x)
        return self.out(self.norm(x))


class LoRALinear(nn.Module):
    """Frozen weight with a low-rank update whose B starts at zero."""

    def __init__(self, base: nn.Linear, rank: int = 4):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + x @ self.A.T @ self.B.T


def lora_mlp() -> nn.Module:
    """Three-layer network with every hidden layer adapted and a trainable head."""
    layers = [LoRALinear(nn.Linear(32, 64)), nn.ReLU(), LoRALinear(nn.Linear(64, 64)), nn.ReLU(), nn.Linear(64, 10)]
    return nn.Sequential(*layers)


class FiLM(nn.Module):
    """Features scaled and shifted by a condition; the modulation starts as the identity."""

    def __init__(self, width: int = 48):
        super().__init__()
        self.trunk = nn.ModuleList([nn.Linear(24, width), nn.Linear(width, width), nn.Linear(width, width)])
        self.films = nn.ModuleList(nn.Linear(8, 2 * width) for _ in self.trunk)
        for film in self.films:
            nn.init.zeros_(film.weight)
            nn.init.zeros_(film.bias)
        self.out = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x, condition = x.split([24, 8], -1)
        for layer, film in zip(self.trunk, self.films, strict=True):
            scale, shift = film(condition).chunk(2, -1)
            x = F.relu(layer(x) * (1 + scale) + shift)
        return self.out(x)


class HyperNetwork(nn.Module):
    """A small network makes the weights of the layer that reads the input; heads scaled as Chang 2020 advises."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.z = nn.Parameter(torch.randn(8))
        self.body = nn.Sequential(nn.Linear(8, 32), nn.ReLU())
        self.make_first, self.make_second = nn.Linear(32, width * 32), nn.Linear(32, 10 * width)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        code = self.body(self.z)
        first = self.make_first(code).view(self.width, 32) / math.sqrt(4)
        second = self.make_second(code).view(10, self.width) / math.sqrt(4)
        return F.linear(F.relu(F.linear(x, first)), second)


def sets(n: int = 32, elements: int = 12) -> MakeBatch:
    """Sets of points [N, S, 4] and the spread of each set [N, 1]."""

    def make() -> Batch:
        scale = 0.5 + torch.rand(n, 1, 1) * 2
        return Batch(args=(torch.randn(n, elements, 4) * scale,), target=scale[:, 0])

    return make


class DeepSets(nn.Module):
    """Per-element network, mean over the set, network on the mean."""

    def __init__(self):
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.rho = nn.Sequential(nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.rho(self.phi(x).mean(1))


def log_likelihood_head() -> nn.Module:
    """Log-softmax head with NLL loss, the way older tutorials write it."""
    return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10), nn.LogSoftmax(dim=1))


_X = vectors()
CASES: tuple[Case, ...] = (
    healthy("logistic-regression", "tabular", lambda: nn.Linear(32, 10), _X, CLASSIFY),
    healthy("linear-regression", "tabular", lambda: nn.Linear(32, 1), values(), REGRESS),
    healthy("binary-classifier", "tabular", lambda: mlp(1, nn.ReLU, out=1), flags(), BINARY),
    *(
        healthy(f"mlp-{name}-{depth}", "tabular", lambda d=depth, a=act: mlp(d, a), _X, CLASSIFY)
        for name, act in (("relu", nn.ReLU), ("tanh", nn.Tanh), ("gelu", nn.GELU))
        for depth in (1, 2, 3)
    ),
    healthy("mlp-sigmoid-1", "tabular", lambda: mlp(1, nn.Sigmoid), _X, CLASSIFY),
    healthy("mlp-sigmoid-2-xavier", "tabular", lambda: mlp(2, nn.Sigmoid, init="xavier"), _X, CLASSIFY),
    healthy("mlp-relu-20-he", "tabular", lambda: mlp(20, nn.ReLU, 128, "he"), _X, CLASSIFY),
    healthy("mlp-tanh-10-xavier", "tabular", lambda: mlp(10, nn.Tanh, 128, "xavier"), _X, CLASSIFY),
    healthy("mlp-tanh-20-orthogonal", "tabular", lambda: mlp(20, nn.Tanh, 64, "orthogonal"), _X, CLASSIFY),
    healthy("mlp-selu-16-lecun", "tabular", lambda: mlp(16, nn.SELU, 96, "lecun"), _X, CLASSIFY),
    healthy("mlp-log-softmax", "tabular", log_likelihood_head, _X, NEGATIVE_LOG_LIKELIHOOD),
    healthy("mlp-batchnorm-8", "tabular", lambda: normalised_mlp(8, nn.BatchNorm1d), _X, CLASSIFY, mechanism="3,9"),
    healthy("mlp-layernorm-8", "tabular", lambda: normalised_mlp(8, nn.LayerNorm), _X, CLASSIFY),
    healthy("siren", "tabular", Siren, values(256, 2, 3), REGRESS),
    healthy("nerf", "tabular", NeRF, values(256, 3, 4, scale=0.3, shift=0.5), REGRESS),
    healthy("highway-20", "tabular", Highway, _X, CLASSIFY),
    healthy("tabular-resnet", "tabular", ResidualMLP, _X, CLASSIFY),
    healthy("tabular-rezero", "tabular", lambda: ResidualMLP(rezero=True), _X, CLASSIFY, mechanism="1"),
    healthy("lora", "tabular", lora_mlp, _X, CLASSIFY, mechanism="1"),
    healthy("film", "tabular", FiLM, _X, CLASSIFY, mechanism="1"),
    healthy("hypernetwork", "tabular", HyperNetwork, _X, CLASSIFY, mechanism="12"),
    healthy("deep-sets", "tabular", DeepSets, sets(), REGRESS),
)
