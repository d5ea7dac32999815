"""The grid of small networks whose trainability is known: settings, networks, the task, and training with a tuned optimizer."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUTS, CLASSES, CLUSTERS_PER_CLASS, SAMPLES, NOISE = 32, 10, 24, 1024, 0.4
WIDTH, CHANNELS = 64, 16
BATCH, WINDOW = 128, 20  # the loss of a step is the mean over the last WINDOW mini-batches
STEPS, MORE_STEPS = 300, 1000  # for every learning rate; for the best one if it has begun to learn
SUCCESS, BEGUN = 0.5, 0.95  # of ln C
RATES: dict[str, tuple[float, ...]] = {  # tried in this order, most often right first
    "SGD": (0.1, 0.03, 0.3, 0.01, 1.0, 0.001, 0.0001),  # momentum 0.9
    "Adam": (0.003, 0.001, 0.01, 0.0003, 0.0001, 0.00003),
}
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "selu": nn.SELU,
    "gelu": nn.GELU,
}
INITIALISATIONS: dict[str, Callable[[Tensor], object] | None] = {
    "pytorch": None,
    "xavier": nn.init.xavier_normal_,
    "he": nn.init.kaiming_normal_,
    "orthogonal": nn.init.orthogonal_,
    "small": lambda weight: nn.init.normal_(weight, std=0.01),
    "big": lambda weight: nn.init.xavier_normal_(weight, gain=3.0),
}
NORMS = ("none", "layer", "batch")


@dataclass(frozen=True, slots=True)
class Setting:
    """One network of the grid; `depth` counts hidden layers, `seed` draws its weights and its mini-batches."""

    family: str  # mlp or conv
    depth: int
    activation: str
    initialisation: str
    norm: str
    skip: bool
    seed: int

    @property
    def name(self) -> str:
        extras = [self.norm + "norm"] * (self.norm != "none") + ["skip"] * self.skip
        return " ".join([f"{self.family}{self.depth}", self.activation, self.initialisation, *extras])


def grid() -> list[Setting]:
    """Return all plain MLPs, and a fixed random sample of those with norm or skip, and of the conv nets."""
    ways = list(itertools.product(ACTIVATIONS, INITIALISATIONS))
    structures = [(n, s) for n in NORMS for s in (False, True)]
    mlp = [("mlp", d, a, i, n, s) for d in (2, 4, 8, 16, 30, 50) for a, i in ways for n, s in structures]
    conv = [("conv", d, a, i, n, s) for d in (4, 10, 20) for a, i in ways for n, s in structures]
    plain = [m for m in mlp if m[4:] == ("none", False)]
    other = random.Random(1).sample([m for m in mlp if m[4:] != ("none", False)], 160)
    chosen = plain + other + random.Random(2).sample(conv, 40)
    return [Setting(*row, seed=seed) for seed, row in enumerate(chosen)]


def grid_hash() -> str:
    """Fingerprint of everything that the stored outcomes depend on."""
    task_ = (INPUTS, CLASSES, CLUSTERS_PER_CLASS, SAMPLES, NOISE)
    fixed = (*task_, WIDTH, CHANNELS, BATCH, STEPS, MORE_STEPS, WINDOW, SUCCESS, BEGUN, RATES)
    return hashlib.sha256(json.dumps([fixed, [asdict(s) for s in grid()]]).encode()).hexdigest()[:16]


def task() -> tuple[Tensor, Tensor]:
    """Return inputs [SAMPLES, INPUTS] of mean 0 and variance 1, and classes: each class is 24 clusters scattered at random.

    A linear classifier stays above SUCCESS; a two-layer ReLU network reaches 0.1 ln C within the step budget.
    """
    random_ = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES * CLUSTERS_PER_CLASS, INPUTS, generator=random_)
    cluster = torch.randint(0, len(centres), (SAMPLES,), generator=random_)
    x = centres[cluster] + NOISE * torch.randn(SAMPLES, INPUTS, generator=random_)
    return (x - x.mean(0)) / x.std(0), cluster // CLUSTERS_PER_CLASS


class Block(nn.Module):
    """linear → norm → activation, or with a skip the pre-activation x + linear(activation(norm(x)))."""

    def __init__(self, linear: nn.Module, norm: nn.Module, activation: nn.Module, skip: bool) -> None:
        super().__init__()
        self.linear, self.norm, self.activation, self.skip = linear, norm, activation, skip

    def forward(self, x: Tensor) -> Tensor:
        if self.skip:
            return x + self.linear(self.activation(self.norm(x)))
        return self.activation(self.norm(self.linear(x)))


def build(setting: Setting) -> nn.Sequential:
    """Return the network at its initialisation; it takes [N, INPUTS] and gives logits [N, CLASSES]."""
    torch.manual_seed(setting.seed)
    activation = ACTIVATIONS[setting.activation]
    conv = setting.family == "conv"

    def linear(first: bool) -> nn.Module:
        if conv:
            return nn.Conv2d(INPUTS // 16 if first else CHANNELS, CHANNELS, 3, padding=1)
        return nn.Linear(INPUTS if first else WIDTH, WIDTH)

    def norm() -> nn.Module:
        if setting.norm == "layer":
            return nn.GroupNorm(1, CHANNELS) if conv else nn.LayerNorm(WIDTH)
        if setting.norm == "batch":
            return nn.BatchNorm2d(CHANNELS) if conv else nn.BatchNorm1d(WIDTH)
        return nn.Identity()

    layers: list[nn.Module] = [nn.Unflatten(1, (INPUTS // 16, 4, 4))] if conv else []
    if setting.skip:
        layers.append(linear(first=True))
    layers += [Block(linear(k == 0 and not setting.skip), norm(), activation(), setting.skip) for k in range(setting.depth)]
    if setting.skip:
        layers += [norm(), activation()]
    layers += [nn.Flatten(), nn.Linear(CHANNELS * 16, CLASSES)] if conv else [nn.Linear(WIDTH, CLASSES)]
    model = nn.Sequential(*layers)
    initialise = INITIALISATIONS[setting.initialisation]
    if initialise is not None:
        for module in model.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                initialise(module.weight)
                nn.init.zeros_(module.bias)
    return model


@dataclass(frozen=True, slots=True)
class Learner:
    """A network to train on the task: a fresh one comes from `make` each time; `seed` draws its mini-batches."""

    make: Callable[[], nn.Module]
    seed: int
    x: Tensor
    y: Tensor


def train(learner: Learner, optimizer: str, rate: float, steps: int) -> tuple[float, int]:
    """Train until success, divergence or `steps`; return the lowest windowed loss as a share of ln C, and the steps taken."""
    model = learner.make()
    if optimizer == "SGD":
        opt: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    else:
        opt = torch.optim.Adam(model.parameters(), lr=rate)
    random_ = torch.Generator().manual_seed(learner.seed)
    losses: list[float] = []
    best = math.inf
    for step in range(1, steps + 1):
        pick = torch.randint(0, len(learner.x), (BATCH,), generator=random_)
        loss = F.cross_entropy(model(learner.x[pick]), learner.y[pick])
        losses.append(loss.item() / math.log(CLASSES))
        if not math.isfinite(losses[-1]):
            return best, step
        if step >= WINDOW:
            best = min(best, sum(losses[-WINDOW:]) / WINDOW)
        if best < SUCCESS:
            return best, step
        opt.zero_grad()
        loss.backward()
        opt.step()
    return best, steps


def tune(learner: Learner, optimizer: str) -> dict[str, float | int | bool | None]:
    """Try the learning rates until one succeeds; return whether one did, the best loss (share of ln C), its rate and steps.

    Slow is not sick: a network that has begun to learn, but has not succeeded, gets MORE_STEPS at its best rate. A network
    that diverged at every rate has no loss and no rate.
    """
    best, chosen, taken = math.inf, 0.0, 0
    for rate in RATES[optimizer]:
        loss, steps = train(learner, optimizer, rate, STEPS)
        if loss < best:
            best, chosen, taken = loss, rate, steps
        if loss < SUCCESS:
            break
    if SUCCESS <= best < BEGUN:
        best, taken = train(learner, optimizer, chosen, MORE_STEPS)
    if math.isinf(best):
        return {"trained": False, "loss": None, "rate": None, "steps": None}
    return {"trained": best < SUCCESS, "loss": round(best, 4), "rate": chosen, "steps": taken}
