"""Per-layer gain of the gradient as the scan reports it, against mean-field theory.

    python benchmarks/theory.py            exits 1 if any setting is off by more than 3 %

In a wide random network with weights of variance σ_w²/fan_in and biases of variance σ_b², the variance q of a pre-activation
settles at q* = σ_w² E[φ(√q* z)²] + σ_b², z ~ N(0, 1), and going backward each layer multiplies the squared L2 norm of the
gradient by χ₁ = σ_w² E[φ'(√q* z)²] (Poole et al. 2016; Schoenholz et al. 2017). So in the stationary middle one layer (linear
and activation) has the gain √χ₁. The theory is computed here with numpy alone; the measurement is the probe's spine.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradcheck_cli.loading.base import Batch, Objective, Outcome, Subject
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Profile
from gradcheck_cli.settings import Settings

WIDTH, DEPTH, BATCH, SEEDS = 1024, 24, 32, (0, 1, 2)
EDGE = 6  # layers left out at either end
WORST = 0.03
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
Array = npt.NDArray[np.float64]
Function = Callable[[Array], Array]


def _erf(x: Array) -> Array:
    return np.array([math.erf(v) for v in x])


def _gauss(x: Array) -> Array:
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


# name: (φ, φ', as a module, as a function)
ACTIVATIONS: dict[str, tuple[Function, Function, type[nn.Module] | None, Callable[[Tensor], Tensor]]] = {
    "linear": (lambda x: x, np.ones_like, nn.Identity, lambda x: x),
    "relu": (lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0), nn.ReLU, F.relu),
    "leaky relu": (
        lambda x: np.where(x > 0, x, 0.01 * x),
        lambda x: np.where(x > 0, 1.0, 0.01),
        nn.LeakyReLU,
        F.leaky_relu,
    ),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2, nn.Tanh, torch.tanh),
    "sigmoid": (_logistic, lambda x: _logistic(x) * (1 - _logistic(x)), nn.Sigmoid, torch.sigmoid),
    "selu": (
        lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
        lambda x: SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(x, 0))),
        nn.SELU,
        F.selu,
    ),
    "gelu": (
        lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2,
        lambda x: (1 + _erf(x / math.sqrt(2))) / 2 + x * _gauss(x),
        nn.GELU,
        F.gelu,
    ),
    "silu": (
        lambda x: x * _logistic(x),
        lambda x: _logistic(x) * (1 + x * (1 - _logistic(x))),
        nn.SiLU,
        F.silu,
    ),
    "erf": (_erf, lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x), None, torch.erf),
}


# Quadrature on either side of 0, where piecewise activations have their kink: Gauss-Legendre on [-12, 0] and [0, 12].
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_Z = np.concatenate([-6 * (_NODES + 1), 6 * (_NODES + 1)])
_MASS = 6 * np.concatenate([_WEIGHTS, _WEIGHTS]) * _gauss(_Z)


def gaussian_mean(function: Function) -> float:
    """E[function(z)], z ~ N(0, 1)."""
    return float(_MASS @ function(_Z))


@dataclass(frozen=True, slots=True)
class Setting:
    """A network: activation, σ_w², σ_b², whether the activation is a function called in `forward`."""

    name: str
    activation: str
    weight_variance: float
    bias_variance: float = 0.0
    functional: bool = False
    default: bool = False  # torch's own initialisation: weights and biases U(-1/√fan_in, 1/√fan_in)

    def fixed_point(self) -> float:
        """q*, iterated from 1; an activation without a fixed point other than 0 or ∞ keeps q = 1 (its χ₁ is scale-free)."""
        if self.activation in ("linear", "relu", "leaky relu"):
            return 1.0
        phi = ACTIVATIONS[self.activation][0]
        q, before = 1.0, 0.0
        while abs(q - before) > 1e-10:
            before = q
            second_moment = gaussian_mean(lambda z: phi(math.sqrt(before) * z) ** 2)  # noqa: B023
            q = self.weight_variance * second_moment + self.bias_variance
        return q

    def gain(self) -> float:
        """√χ₁ at the fixed point."""
        derivative, scale = ACTIVATIONS[self.activation][1], math.sqrt(self.fixed_point())
        return math.sqrt(self.weight_variance * gaussian_mean(lambda z: derivative(scale * z) ** 2))


def critical_weight_variance(activation: str, bias_variance: float) -> float:
    """σ_w² at which χ₁ = 1, by bisection: the edge between order and chaos."""
    low, high = 0.5, 4.0
    for _ in range(30):
        middle = (low + high) / 2
        if Setting("", activation, middle, bias_variance).gain() < 1:
            low = middle
        else:
            high = middle
    return low


def settings() -> list[Setting]:
    critical = critical_weight_variance("tanh", 0.05)
    third = 1 / 3  # variance × fan-in of U(-1/√fan_in, 1/√fan_in)
    return [
        Setting("linear, PyTorch default", "linear", third, default=True),
        Setting("linear, σ_w 0.9", "linear", 0.81),
        Setting("linear, σ_w 1.2", "linear", 1.44),
        Setting("ReLU, He", "relu", 2.0),
        Setting("ReLU, He", "relu", 2.0, functional=True),
        Setting("ReLU, Xavier", "relu", 1.0),
        Setting("ReLU, PyTorch default", "relu", third, default=True),
        Setting("leaky ReLU, He", "leaky relu", 2.0),
        Setting("leaky ReLU, He", "leaky relu", 2.0, functional=True),
        Setting("tanh, ordered (σ_w² 0.8)", "tanh", 0.8, 0.05),
        Setting("tanh, ordered (σ_w² 0.8)", "tanh", 0.8, 0.05, functional=True),
        Setting(f"tanh, critical (σ_w² {critical:.2f})", "tanh", critical, 0.05),
        Setting("tanh, chaotic (σ_w² 3)", "tanh", 3.0, 0.05),
        Setting("tanh, chaotic (σ_w² 3)", "tanh", 3.0, 0.05, functional=True),
        Setting("sigmoid, Xavier", "sigmoid", 1.0),
        Setting("sigmoid, Xavier", "sigmoid", 1.0, functional=True),
        Setting("sigmoid, σ_w² 9", "sigmoid", 9.0, 0.05),
        Setting("SELU, LeCun", "selu", 1.0),
        Setting("SELU, LeCun", "selu", 1.0, functional=True),
        Setting("GELU, σ_w² 1.5", "gelu", 1.5, 0.1),
        Setting("GELU, σ_w² 1.5", "gelu", 1.5, 0.1, functional=True),
        Setting("SiLU, σ_w² 1.5", "silu", 1.5, 0.1),
        Setting("erf, ordered (σ_w² 0.5)", "erf", 0.5, 0.05, functional=True),
        Setting("erf, chaotic (σ_w² 3)", "erf", 3.0, 0.05, functional=True),
    ]


class Network(nn.Module):
    """DEPTH × (linear, activation) of WIDTH; the activation is a module each, or a function called in `forward`."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        _, _, module, self.function = ACTIVATIONS[setting.activation]
        self.linears = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH))
        self.activations = None
        if not setting.functional:
            assert module is not None
            self.activations = nn.ModuleList(module() for _ in range(DEPTH))
        if setting.default:
            return
        for linear in self.linears:
            nn.init.normal_(linear.weight, std=math.sqrt(setting.weight_variance / WIDTH))
            nn.init.normal_(linear.bias, std=math.sqrt(setting.bias_variance))

    def forward(self, x: Tensor) -> Tensor:
        for k, linear in enumerate(self.linears):
            x = linear(x)
            x = self.function(x) if self.activations is None else self.activations[k](x)
        return x


def subject(setting: Setting, seed: int) -> Subject:
    """A random network under a random projection; the input makes the first pre-activation start at q*."""
    torch.manual_seed(seed)
    model = Network(setting)
    scale = math.sqrt(max(setting.fixed_point() - setting.bias_variance, 0.0) / setting.weight_variance)
    x, projection = scale * torch.randn(BATCH, WIDTH), torch.randn(BATCH, WIDTH)

    def compute(model: nn.Module, batch: Batch) -> Outcome:
        output = model(*batch.args)
        return Outcome(loss=(output * projection).mean(), output=output)

    objective = Objective(name="random projection", kind="projection", origin="benchmark", compute=compute)
    return Subject(
        model=model, batches=(Batch(args=(x,)),), objectives=(objective,), optimizer=None, sites={}, target=setting.name
    )


def log10_gains(profile: Profile) -> tuple[list[float], int]:
    """log10 gains of the segments in the middle of the spine, and how many linear layers they span."""
    segments = profile.spines[0].segments
    linear = [i for i, s in enumerate(segments) if s.kind == "Linear"]
    middle = linear[EDGE : len(linear) - EDGE + 1]
    return [s.log10_gain for s in segments[middle[0] : middle[-1]]], len(middle) - 1


def measured_gain(setting: Setting) -> float:
    """Geometric mean over layers and seeds of the gain of one layer."""
    total, layers = 0.0, 0
    for seed in SEEDS:
        one = subject(setting, seed)
        gains, count = log10_gains(probe(one, one.objectives[0], Settings(target=setting.name, seed=seed)))
        total, layers = total + sum(gains), layers + count
    return 10 ** (total / layers)


def main() -> int:
    torch.set_num_threads(1)
    print("| network | activation as | σ_w² | σ_b² | q* | √χ₁ (theory) | gain (scan) | deviation |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    worst = 0.0
    for s in settings():
        theory, measured = s.gain(), measured_gain(s)
        deviation = measured / theory - 1
        worst = max(worst, abs(deviation))
        form = "function" if s.functional else "module"
        print(
            f"| {s.name} | {form} | {s.weight_variance:.3g} | {s.bias_variance:g} | {s.fixed_point():.3f} "
            f"| {theory:.4f} | {measured:.4f} | {100 * deviation:+.2f} % |",
            flush=True,
        )
    print(f"\nworst deviation {100 * worst:.2f} % (limit {100 * WORST:.0f} %)")
    return int(worst > WORST)


if __name__ == "__main__":
    sys.exit(main())
