"""Sick in depth: depth × activation × initialisation × norm × skip, as dense and convolutional networks.

What the signs say: with gain g a layer (root of the mean-field χ) the gradient changes by L·log10 g decades over L layers.
Sigmoid has at best 0.25, default-initialised ReLU 0.41, default-initialised tanh 0.58 (Schoenholz 2017).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.batches import images, values, vectors
from zoo.cases import CLASSIFY, REGRESS, Case, sick
from zoo.healthy_convnets import vgg

Init = Callable[[Tensor], object]


def gain(g: float) -> Init:
    """Normal weights of standard deviation g/√fan-in."""
    return lambda weight: nn.init.normal_(weight, std=g * (weight[0].numel()) ** -0.5)


def std(s: float) -> Init:
    """Normal weights of a fixed standard deviation."""
    return lambda weight: nn.init.normal_(weight, std=s)


def initialise(net: nn.Module, init: Init | None) -> nn.Module:
    """Apply an initialisation to every weight matrix and set the biases to zero; None keeps PyTorch's default."""
    for module in net.modules() if init else ():
        if isinstance(module, nn.Linear | nn.Conv2d):
            init(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net


def chain(
    depth: int, activation: type[nn.Module] | None, init: Init | None = None, width: int = 64, norm: bool = False
) -> nn.Module:
    """A plain chain of linear layers, activation modules and, if asked, BatchNorm in front of each activation."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers.append(nn.Linear(32 if i == 0 else width, width))
        layers += [nn.BatchNorm1d(width)] if norm else []
        layers += [activation()] if activation else []
    return initialise(nn.Sequential(*layers, nn.Linear(width, 10)), init)


class Functional(nn.Module):
    """The same chain with the activation called as a function, which no module hook sees."""

    def __init__(self, depth: int, activation: Callable[[Tensor], Tensor], init: Init | None = None, width: int = 64):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32 if i == 0 else width, width) for i in range(depth))
        self.head, self.activation = nn.Linear(width, 10), activation
        initialise(self, init)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.head(x)


def conv_chain(depth: int, activation: type[nn.Module], init: Init | None = None, width: int = 24) -> nn.Module:
    """A plain convolutional network: two poolings, a global mean, a linear head."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Conv2d(3 if i == 0 else width, width, 3, padding=1), activation()]
        layers += [nn.AvgPool2d(2)] if i in (depth // 3, 2 * depth // 3) else []
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
    return initialise(nn.Sequential(*layers, *head), init)


class Residual(nn.Module):
    """Residual blocks without any norm; `skip` False leaves the additions out."""

    def __init__(self, depth: int, init: Init, activation: Callable[[Tensor], Tensor] = F.relu, width: int = 64):
        super().__init__()
        self.inp, self.head = nn.Linear(32, width), nn.Linear(width, 10)
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.activation = activation
        initialise(self, init)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(self.activation(first(x)))
        return self.head(x)


def one_odd_layer(factor: float, which: int, depth: int = 8, conv: bool = False) -> nn.Module:
    """A healthy He-initialised ReLU network whose layer number `which` is scaled by `factor`."""
    net = conv_chain(depth, nn.ReLU, gain(2**0.5)) if conv else chain(depth, nn.ReLU, gain(2**0.5))
    weights = [m.weight for m in net if isinstance(m, nn.Linear | nn.Conv2d)]
    with torch.no_grad():
        weights[which].mul_(factor)
    return net


_X, _IMAGES = vectors(), images()
VANISHES, EXPLODES = ("GC101",), ("GC102",)
# a chain that shrinks its gradient shrinks or blurs its signal too; each of these is true beside the root cause
_SHRINKS, _GROWS = ("GC105", "GC203", "GC205", "GC301"), ("GC202", "GC204", "GC301", "GC602")


def _shrinking(name: str, what: str, model: Callable[[], nn.Module], batch=_X) -> Case:
    return sick(name, "sick-depth", what, model, batch, CLASSIFY, expect=VANISHES, also=_SHRINKS)


def _growing(name: str, what: str, model: Callable[[], nn.Module], batch=_X, *, also: tuple[str, ...] = ()) -> Case:
    return sick(name, "sick-depth", what, model, batch, CLASSIFY, expect=EXPLODES, also=(*_GROWS, *also))


_VANISHING = (
    *(
        _shrinking(f"sigmoid-{label}-{depth}", f"sigmoid, {label} initialisation",
                   lambda d=depth, i=init: chain(d, nn.Sigmoid, i))
        for label, init in (("default", None), ("xavier", gain(1.0)))
        for depth in (8, 16, 40)
    ),
    sick("sigmoid-large-20", "sick-depth", "sigmoid, gain 4: samples blur before the gradient is gone",
         lambda: chain(20, nn.Sigmoid, gain(4.0)), _X, CLASSIFY, expect=("GC101", "GC203"), also=_SHRINKS),
    _shrinking("sigmoid-large-40", "sigmoid, gain 4", lambda: chain(40, nn.Sigmoid, gain(4.0))),
    _shrinking("sigmoid-functional-20", "torch.sigmoid in forward", lambda: Functional(20, torch.sigmoid)),
    _shrinking("hardsigmoid-16", "hard sigmoid, gain 1/6 at best", lambda: chain(16, nn.Hardsigmoid, gain(1.0))),
    _shrinking("sigmoid-cnn-10", "sigmoid convolutions", lambda: conv_chain(10, nn.Sigmoid), _IMAGES),
    _shrinking("sigmoid-cnn-18-xavier", "sigmoid convolutions", lambda: conv_chain(18, nn.Sigmoid, gain(1.0)), _IMAGES),
    *(
        _shrinking(f"tanh-small-{depth}", "tanh, gain 0.3", lambda d=depth: chain(d, nn.Tanh, gain(0.3)))
        for depth in (10, 20, 50)
    ),
    _shrinking("tanh-std-0.01-10", "tanh, standard deviation 0.01", lambda: chain(10, nn.Tanh, std(0.01))),
    _shrinking("tanh-functional-default-24", "tanh, default gain 0.58", lambda: Functional(24, torch.tanh)),
    _shrinking("tanh-cnn-small-12", "tanh convolutions, gain 0.3", lambda: conv_chain(12, nn.Tanh, gain(0.3)), _IMAGES),
    *(
        _shrinking(f"relu-default-{depth}", "ReLU, default gain 0.41", lambda d=depth: chain(d, nn.ReLU))
        for depth in (16, 30, 60)
    ),
    _shrinking("relu-functional-default-20", "F.relu, default gain 0.41", lambda: Functional(20, F.relu)),
    _shrinking("relu-std-0.01-12", "ReLU, standard deviation 0.01", lambda: chain(12, nn.ReLU, std(0.01), 128)),
    _shrinking("relu-xavier-40", "ReLU with Xavier, 0.71 a layer", lambda: chain(40, nn.ReLU, gain(1.0))),
    _shrinking("relu-cnn-default-16", "ReLU convolutions, default", lambda: conv_chain(16, nn.ReLU), _IMAGES),
    _shrinking("gelu-default-24", "GELU, default initialisation", lambda: chain(24, nn.GELU)),
    _shrinking("elu-small-24", "ELU, gain 0.4", lambda: chain(24, nn.ELU, gain(0.4))),
    _shrinking("leaky-relu-small-20", "leaky ReLU, gain 0.5", lambda: chain(20, nn.LeakyReLU, gain(0.5))),
    _shrinking("softplus-small-16", "softplus, gain 0.5", lambda: chain(16, nn.Softplus, gain(0.5))),
    _shrinking("vgg-16-default", "thirteen convolutions, default gain", lambda: vgg(16, norm=False, published_init=False),
               _IMAGES),
    sick("linear-small-30", "sick-depth", "no activation, gain 0.5", lambda: chain(30, None, gain(0.5)), _X, CLASSIFY,
         expect=VANISHES, also=(*_SHRINKS, "GC406")),
    sick("relu-default-20-regression", "sick-depth", "ReLU, default gain, squared error",
         lambda: nn.Sequential(chain(20, nn.ReLU), nn.ReLU(), nn.Linear(10, 1)), values(), REGRESS, expect=VANISHES,
         also=_SHRINKS),
)  # fmt: skip
_EXPLODING = (
    *(
        _growing(f"relu-gain-{g}-{depth}", f"ReLU, gain {g}", lambda d=depth, k=g: chain(d, nn.ReLU, gain(k)))
        for g, depth in ((2.5, 20), (3.0, 12), (4.0, 30))
    ),
    _growing("relu-functional-gain-3-16", "F.relu, gain 3", lambda: Functional(16, F.relu, gain(3.0))),
    _growing("relu-std-0.5-10", "ReLU, standard deviation 0.5", lambda: chain(10, nn.ReLU, std(0.5))),
    _growing("relu-cnn-gain-4-12", "ReLU convolutions, gain 4", lambda: conv_chain(12, nn.ReLU, gain(4.0)), _IMAGES),
    _growing("linear-gain-2-20", "no activation, gain 2", lambda: chain(20, None, gain(2.0)), also=("GC406",)),
    _growing("leaky-relu-gain-3-14", "leaky ReLU, gain 3", lambda: chain(14, nn.LeakyReLU, gain(3.0))),
    _growing("gelu-gain-4-14", "GELU, gain 4", lambda: chain(14, nn.GELU, gain(4.0))),
    _growing("tanh-chaotic-30", "tanh, gain 4: chaotic", lambda: chain(30, nn.Tanh, gain(4.0), 128)),
    _growing("tanh-chaotic-functional-50", "tanh, gain 3: chaotic", lambda: Functional(50, torch.tanh, gain(3.0), 128)),
    _growing("residual-no-norm-40", "residual sum doubles in each block", lambda: Residual(40, gain(2**0.5))),
    _growing("residual-no-norm-gain-3-12", "residual branches of gain 3", lambda: Residual(12, gain(3.0))),
    _growing("batchnorm-relu-100", "BatchNorm chains without skips grow 1.2 a layer", lambda: chain(100, nn.ReLU, norm=True)),
    _growing("batchnorm-relu-200", "BatchNorm chains without skips grow 1.2 a layer", lambda: chain(200, nn.ReLU, norm=True)),
)
_ODD = tuple(
    sick(f"odd-layer-{kind}-{factor:g}", "sick-initialisation", f"one layer scaled by {factor:g}",
         lambda f=factor, c=conv, w=which: one_odd_layer(f, w, conv=c), _IMAGES if conv else _X, CLASSIFY,
         expect=("GC301",), also=("GC105", "GC203", "GC204", "GC205", "GC602"))
    for kind, conv, factor, which in (
        ("dense", False, 1e-3, 3), ("dense", False, 1e-4, 5), ("dense", False, 50.0, 4), ("dense", False, 300.0, 2),
        ("conv", True, 1e-3, 3), ("conv", True, 100.0, 4),
    )
)  # fmt: skip
CASES: tuple[Case, ...] = (*_VANISHING, *_EXPLODING, *_ODD)
