"""Sick ones nearer to the limits, and diseases that mix: what a benchmark of extremes alone would not show."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from zoo.batches import images, next_tokens, signals, tagged_tokens, values, vectors
from zoo.cases import CLASSIFY, PER_TOKEN, REGRESS, Case, MakeBatch, sick
from zoo.healthy_attention import ViT
from zoo.healthy_convnets import plain_cnn
from zoo.healthy_recurrent import Tagger
from zoo.healthy_tabular import mlp
from zoo.sick_depth import Functional, Residual, chain, conv_chain, gain, initialise, one_odd_layer
from zoo.sick_parts import Broken, changed
from zoo.sick_time import CellLoop, LastStep, Loop, recurrent_scale, rnn
from zoo.sick_training import with_input

_SHRINKS = ("GC105", "GC203", "GC205", "GC301")
_GROWS = ("GC202", "GC204", "GC301", "GC602")


def pyramid(activation: type[nn.Module], *widths: int) -> nn.Module:
    """Linear layers of changing width with default initialisation."""
    layers: list[nn.Module] = []
    for a, b in zip((32, *widths), widths, strict=False):
        layers += [nn.Linear(a, b), activation()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 10))


def mixed(depth: int) -> nn.Module:
    """Sigmoid and tanh in turn, with dropout."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(32 if i == 0 else 64, 64), nn.Sigmoid() if i % 2 else nn.Tanh(), nn.Dropout(0.1)]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def bounded_norm(depth: int) -> nn.Module:
    """Spectral norm holds every matrix's largest gain at one: with ReLU behind it the usual gain is a third of that."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [spectral_norm(nn.Linear(32 if i == 0 else 64, 64)), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


class HalfSkipped(nn.Module):
    """Residual in its second half only; the first half is a sigmoid chain."""

    def __init__(self, depth: int = 6, width: int = 64):
        super().__init__()
        self.first = nn.Sequential(
            *[m for i in range(depth) for m in (nn.Linear(32 if i == 0 else width, width), nn.Sigmoid())]
        )
        self.second, self.head = nn.ModuleList(nn.Linear(width, width) for _ in range(depth)), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer in self.second:
            x = x + F.relu(layer(x))
        return self.head(x)


def deep_spatial_sigmoid() -> nn.Module:
    """LeNet's layout, twice as deep, sigmoid everywhere, max pooling."""
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(((3, 16), (16, 16), (16, 32), (32, 32))):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.Sigmoid(), *([nn.MaxPool2d(2)] if i % 2 else [])]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(2048, 128), nn.Sigmoid(), nn.Linear(128, 64), nn.Sigmoid(), nn.Linear(64, 10)
    )


def one_layer(index: int, change: Callable[[nn.Module], object], net: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Change one layer of a sequential network."""
    return changed(net, lambda model: change(model[index]))


def _kill(layer: nn.Module) -> None:
    layer.bias.fill_(-20.0)


class StandardisedInside(nn.Module):
    """Divides by the batch's standard deviation: zero for a feature that is constant."""

    def __init__(self):
        super().__init__()
        self.body = mlp(2, nn.ReLU)

    def forward(self, x: Tensor) -> Tensor:
        return self.body((x - x.mean(0)) / x.std(0))


class NotFrozenEncoder(nn.Module):
    """A feature extractor run under no_grad whose parameters the optimizer is still given."""

    def __init__(self):
        super().__init__()
        self.encoder, self.head = plain_cnn(), nn.Linear(10, 10)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.encoder(x)
        return self.head(features)


class ThroughData(nn.Module):
    """Reads `.data` in the middle of its own graph."""

    def __init__(self):
        super().__init__()
        self.trunk, self.head = chain(2, nn.ReLU), nn.Sequential(nn.ReLU(), nn.Linear(10, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).data)


def _constant_feature(x: Tensor) -> Tensor:
    return torch.cat([x[:, :-1], torch.ones(len(x), 1)], 1)


def _large_feature(x: Tensor) -> Tensor:
    return torch.cat([x[:, :-1], x[:, -1:] * 400], 1)


def _sharp(net: ViT) -> None:
    for block in net.blocks:
        block.attn.qkv.weight[:128].mul_(25.0)


_X, _IMAGES = vectors(), images()


def _case(
    name: str,
    what: str,
    model: Callable[[], nn.Module],
    expect: str,
    also: tuple[str, ...] = (),
    batch: MakeBatch = _X,
    loss=CLASSIFY,
) -> Case:
    return sick(name, "sick-moderate", what, model, batch, loss, expect=expect.split(), also=also)


_DEPTH = (
    _case("mild-sigmoid-6", "six sigmoid layers, default", lambda: chain(6, nn.Sigmoid), "GC101", _SHRINKS),
    _case("mild-sigmoid-6-functional", "F.sigmoid in forward", lambda: Functional(6, F.sigmoid), "GC101", _SHRINKS),
    _case("mild-relu-12", "twelve ReLU layers, default", lambda: chain(12, nn.ReLU), "GC101", _SHRINKS),
    _case("mild-relu-12-wide", "width 256", lambda: chain(12, nn.ReLU, width=256), "GC101", _SHRINKS),
    _case("mild-relu-12-narrow", "width 16", lambda: chain(12, nn.ReLU, width=16), "GC101", _SHRINKS),
    _case("mild-tanh-16-gain-0.5", "tanh, gain 0.5", lambda: chain(16, nn.Tanh, gain(0.5)), "GC101", _SHRINKS),
    _case("mild-gelu-14", "GELU, default", lambda: chain(14, nn.GELU), "GC101", _SHRINKS),
    _case("mild-mixed-8", "sigmoid and tanh in turn", lambda: mixed(8), "GC101", _SHRINKS),
    _case("mild-pyramid-sigmoid", "widths 256 to 16", lambda: pyramid(nn.Sigmoid, 256, 128, 64, 32, 24, 16), "GC101", _SHRINKS),
    _case("mild-hourglass-relu", "widths down and up",
          lambda: pyramid(nn.ReLU, 96, 64, 48, 32, 16, 8, 16, 32, 48, 64, 96), "GC101",
          _SHRINKS),
    _case("mild-softmax-hidden", "softmax as hidden activation", lambda: chain(4, lambda: nn.Softmax(-1)), "GC101", _SHRINKS),
    _case("mild-spectral-relu-16", "spectral norm and ReLU", lambda: bounded_norm(16), "GC101", _SHRINKS),
    _case("mild-half-skipped", "skips in the second half only", HalfSkipped, "GC101", _SHRINKS),
    _case("mild-sigmoid-lenet", "six sigmoid layers behind images", deep_spatial_sigmoid, "GC101", _SHRINKS, _IMAGES),
    _case("mild-relu-cnn-12", "twelve convolutions, default", lambda: conv_chain(12, nn.ReLU), "GC101", _SHRINKS, _IMAGES),
    _case("mild-relu-gain-2-24", "ReLU, gain 2", lambda: chain(24, nn.ReLU, gain(2.0), 128), "GC102", _GROWS),
    _case("mild-elu-gain-2-24", "ELU, gain 2", lambda: chain(24, nn.ELU, gain(2.0)), "GC102", _GROWS),
    _case("mild-residual-24", "residual sums without norm", lambda: Residual(24, gain(2**0.5)), "GC102", _GROWS),
    _case("mild-batchnorm-70", "BatchNorm chain", lambda: chain(70, nn.ReLU, norm=True), "GC102", (*_GROWS, "GC105")),
    _case("mild-batchnorm-tanh-200", "BatchNorm and tanh", lambda: chain(200, nn.Tanh, norm=True), "GC102", (*_GROWS, "GC105")),
    _case("mild-linear-1.5-24", "no activation, gain 1.5",
          lambda: initialise(chain(24, None), gain(1.5)), "GC102", (*_GROWS, "GC406")),
)  # fmt: skip
_TIME = (
    _case("mild-rnn-60", "sixty steps, default", lambda: LastStep(rnn(64)), "GC103", ("GC101",), signals(8, 60)),
    _case("mild-rnn-cell-70", "a cell in a loop", lambda: CellLoop(64), "GC103", ("GC101",), signals(8, 70)),
    _case("mild-rnn-two-layers-80", "two layers", lambda: LastStep(rnn(48, 2)), "GC103", ("GC101",), signals(8, 80)),
    _case("mild-rnn-tagger-250", "a loss at every step", lambda: Tagger(nn.RNN), "GC103", (), tagged_tokens(4, 250), PER_TOKEN),
    _case("mild-rnn-relu-1.1-80", "ReLU, 1.1 × identity",
          lambda: LastStep(rnn(nonlinearity="relu"), recurrent_scale(1.1, identity=True)),
          "GC104", _GROWS, signals(8, 80)),
    _case("mild-loop-linear-1.07-100", "no activation, 1.07 × orthogonal", lambda: Loop(lambda h: h, 1.07), "GC104", _GROWS,
          signals(8, 100)),
    _case("mild-language-rnn-2.2", "chaotic language model", lambda: _chaotic_tagger(), "GC104", _GROWS, next_tokens(4, 100),
          PER_TOKEN),
)  # fmt: skip
_PARTS = (
    _case("mild-odd-layer-0.02", "one layer fifty times too small", lambda: one_odd_layer(0.02, 3), "GC301", _SHRINKS),
    _case("mild-odd-layer-25", "one layer 25 times too large", lambda: one_odd_layer(25.0, 4), "GC301", _GROWS),
    _case("mild-dead-layer", "one dead layer of six", one_layer(6, _kill, lambda: chain(6, nn.ReLU, gain(2**0.5))), "GC201",
          ("GC105", "GC203", "GC405")),
    _case("mild-dead-convolution", "one dead convolution of five",
          one_layer(5, _kill, lambda: conv_chain(5, nn.ReLU, gain(2**0.5))),
          "GC201", ("GC105", "GC203", "GC405"), _IMAGES),
    _case("mild-saturated-layer", "one saturated tanh of four",
          one_layer(2, lambda layer: layer.weight.mul_(60.0), lambda: chain(4, nn.Tanh, gain(1.0))), "GC202 GC301", ("GC101",)),
    _case("mild-attention-25", "query and key 25 times too large", changed(lambda: ViT("mean"), _sharp), "GC301 GC202 GC105",
          batch=_IMAGES),
    _case("mild-encoder-not-frozen", "an encoder under no_grad", NotFrozenEncoder, "GC401", (), _IMAGES),
    _case("mild-data-attribute", ".data in the middle", ThroughData, "GC401"),
    _case("mild-standardised-inside", "a constant feature divided by its deviation", StandardisedInside, "GC501", (),
          with_input(_X, _constant_feature)),
    _case("mild-hand-softmax", "exp of logits above 88",
          lambda: Broken(lambda h: torch.exp(h * 90) / torch.exp(h * 90).sum(-1, True)),
          "GC501"),
    _case("mild-arccos", "arccos at one",
          lambda: Broken(lambda h: torch.acos(torch.where(h > 0.5, 1.0, h / 2) * (1 + 0 * h))), "GC502"),
)  # fmt: skip
_DATA = (
    _case("mild-input-30", "inputs of size 30", lambda: mlp(2, nn.ReLU), "GC601", ("GC602",), with_input(_X, lambda x: x * 30)),
    _case("mild-feature-400", "one feature 400 times too large", lambda: mlp(2, nn.ReLU), "GC601", ("GC602",),
          with_input(_X, _large_feature)),
    _case("mild-target-300", "targets of size 300", lambda: mlp(2, nn.ReLU, out=1), "GC607", (), values(scale=300), REGRESS),
)  # fmt: skip


def _chaotic_tagger() -> nn.Module:
    net = Tagger(nn.RNN, out=200)
    with torch.no_grad():
        nn.init.normal_(net.emb.weight, std=0.1)
        nn.init.normal_(net.rnn.weight_hh_l0, std=2.2 * 48**-0.5)
    return net


CASES: tuple[Case, ...] = (*_DEPTH, *_TIME, *_PARTS, *_DATA)
