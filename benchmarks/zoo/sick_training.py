"""Sick in data, loss, optimizer or number format, around networks that are healthy in themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Objective, OptimizerSpec
from zoo.batches import flags, images, values, vectors
from zoo.cases import BINARY, CLASSIFY, NEGATIVE_LOG_LIKELIHOOD, REGRESS, Case, MakeBatch, sick, supervised
from zoo.healthy_convnets import plain_cnn
from zoo.healthy_residual import BasicBlock, resnet
from zoo.healthy_tabular import mlp, normalised_mlp
from zoo.sick_depth import chain, gain


def with_input(make: MakeBatch, change: Callable[[Tensor], Tensor]) -> MakeBatch:
    """Change the first input of each batch."""

    def made() -> Batch:
        batch = make()
        return Batch(args=(change(batch.args[0]), *batch.args[1:]), target=batch.target)

    return made


def with_target(make: MakeBatch, change: Callable[[Any], Any]) -> MakeBatch:
    """Change the target of each batch."""

    def made() -> Batch:
        batch = make()
        return Batch(args=batch.args, target=change(batch.target))

    return made


def ended(last: nn.Module, out: int = 10) -> Callable[[], nn.Module]:
    """A healthy two-layer network with one more module behind it."""
    return lambda: nn.Sequential(mlp(2, nn.ReLU, out=out), last)


def _one_feature(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, 5] *= 5000
    return x


def _hole(x: Tensor) -> Tensor:
    x = x.clone()
    x[0, 0] = math.nan
    return x


class Half(nn.Module):
    """A network that computes in float16 throughout; `scale` multiplies its last hidden signal."""

    def __init__(self, body: nn.Module, scale: float = 1.0):
        super().__init__()
        self.body, self.scale = body.half(), scale

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.half() * self.scale)


BCE = supervised("bce", lambda output, target: F.binary_cross_entropy(output, target))
TINY = supervised("cross_entropy", lambda output, target: F.cross_entropy(output.float(), target) * 1e-6)
HALF = supervised("cross_entropy", lambda output, target: F.cross_entropy(output.float(), target))


def _log_loss(output: Tensor, target: Tensor) -> Tensor:
    return -(target * torch.log(output) + (1 - target) * torch.log(1 - output)).mean()


def sgd(lr: float) -> OptimizerSpec:
    """Plain SGD with a learning rate found in the user's file."""
    return OptimizerSpec(name="SGD", lr=lr, origin="found: optimizer")


def adam(lr: float) -> OptimizerSpec:
    """Adam with a learning rate found in the user's file."""
    return OptimizerSpec(name="Adam", lr=lr, origin="found: optimizer")


_X, _Y, _IMAGES, _FLAGS = vectors(), values(), images(), flags()
_MLP: Callable[[], nn.Module] = lambda: mlp(2, nn.ReLU)  # noqa: E731
_REGRESSION: Callable[[], nn.Module] = lambda: mlp(2, nn.ReLU, out=1)  # noqa: E731


def _case(
    name: str, what: str, model: Callable[[], nn.Module], batch: MakeBatch, loss: Objective, expect: str,
    also: tuple[str, ...] = (), optimizer: OptimizerSpec | None = None,
) -> Case:  # fmt: skip
    return sick(name, "sick-training", what, model, batch, loss, expect=expect.split(), also=also, optimizer=optimizer)


_DATA = (
    _case("raw-pixels-cnn", "pixels 0..255", plain_cnn, with_input(_IMAGES, lambda x: (x * 60 + 128).clamp(0, 255)), CLASSIFY,
          "GC601",
          ("GC602", "GC204")),
    _case("raw-pixels-mlp", "pixels 0..255",
          lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 64), nn.ReLU(), nn.Linear(64, 10)),
          with_input(_IMAGES, lambda x: (x * 60 + 128).clamp(0, 255)), CLASSIFY, "GC601", ("GC602",)),
    _case("input-times-1000", "inputs of size 1000", _MLP, with_input(_X, lambda x: x * 1000), CLASSIFY, "GC601",
          ("GC602", "GC204")),
    _case("input-offset-500", "mean 500, deviation 1", _MLP, with_input(_X, lambda x: x + 500), CLASSIFY, "GC601",
          ("GC602", "GC203")),
    _case("raw-tanh", "inputs of size 100 into tanh", lambda: mlp(2, nn.Tanh), with_input(_X, lambda x: x * 100), CLASSIFY,
          "GC601",
          ("GC202",)),
    _case("one-huge-feature", "one feature 5000 times too large", _MLP, with_input(_X, _one_feature), CLASSIFY, "GC601",
          ("GC602", "GC204")),
    _case("nan-input", "a NaN in the data", _MLP, with_input(_X, _hole), CLASSIFY, "GC603"),
    _case("nan-target", "a NaN in the targets", _REGRESSION, with_target(_Y, _hole), REGRESS, "GC603"),
    _case("target-1e5", "targets of size 1e5", _REGRESSION, values(scale=1e5), REGRESS, "GC607"),
    _case("target-prices", "targets around 3e5", _REGRESSION, values(scale=5e4, shift=3e5), REGRESS, "GC607"),
    _case("target-1000", "targets of size 1000", _REGRESSION, values(scale=1000), REGRESS, "GC607"),
    _case("overconfident-head", "last layer 1000 times too large",
          lambda: nn.Sequential(mlp(2, nn.ReLU, out=64), nn.ReLU(), _scaled(nn.Linear(64, 10), 1000.0)), _X, CLASSIFY, "GC602",
          ("GC204", "GC301", "GC102")),
)  # fmt: skip


def _scaled(layer: nn.Linear, factor: float) -> nn.Linear:
    with torch.no_grad():
        layer.weight.mul_(factor)
    return layer


_LOSS = (
    _case("sigmoid-output-targets-100", "sigmoid output, targets to 100", ended(nn.Sigmoid(), 1), values(scale=30, shift=50),
          REGRESS,
          "GC606", ("GC607",)),
    _case("tanh-output-targets-10", "tanh output, targets to 10", ended(nn.Tanh(), 1), values(scale=6), REGRESS, "GC606"),
    _case("relu-output-negative-targets", "ReLU output, targets of both signs", ended(nn.ReLU(), 1), _Y, REGRESS, "GC606"),
    _case("softmax-output-regression", "softmax output, targets of both signs", ended(nn.Softmax(-1), 4), values(outputs=4),
          REGRESS,
          "GC606"),
    _case("bce-targets-minus-one", "labels -1 and 1", lambda: mlp(2, nn.ReLU, out=1), with_target(_FLAGS, lambda y: y * 2 - 1),
          BINARY,
          "GC606"),
    _case("double-softmax", "softmax before cross-entropy", ended(nn.Softmax(-1)), _X, CLASSIFY, "GC605"),
    _case("double-softmax-cnn", "softmax before cross-entropy", lambda: nn.Sequential(plain_cnn(), nn.Softmax(1)), _IMAGES,
          CLASSIFY,
          "GC605"),
    _case("sigmoid-before-cross-entropy", "squashed logits", ended(nn.Sigmoid()), _X, CLASSIFY, "GC605"),
    _case("tanh-before-cross-entropy", "squashed logits", ended(nn.Tanh()), _X, CLASSIFY, "GC605"),
    _case("relu-before-cross-entropy", "negative logits cut off", ended(nn.ReLU()), _X, CLASSIFY, "GC605"),
    _case("softmax-one-unit", "softmax over one unit", ended(nn.Softmax(-1), 1), _FLAGS, BCE, "GC605", ("GC403", "GC405")),
    _case("double-sigmoid", "sigmoid before BCE with logits", ended(nn.Sigmoid(), 1), _FLAGS, BINARY, "GC605"),
    _case("nll-on-softmax", "NLL of probabilities", ended(nn.Softmax(-1)), _X, NEGATIVE_LOG_LIKELIHOOD, "GC605"),
    _case("nll-on-logits", "NLL of raw logits", _MLP, _X, NEGATIVE_LOG_LIKELIHOOD, "GC605"),
    _case("one-unit-cross-entropy", "cross-entropy over one unit", lambda: mlp(2, nn.ReLU, out=1),
          with_target(_X, lambda y: y * 0), CLASSIFY, "GC605", ("GC403",)),
    _case("one-unit-several-classes", "one sigmoid unit for ten classes", lambda: mlp(2, nn.ReLU, out=1),
          with_target(_X, lambda y: y[:, None].float()), BINARY, "GC605 GC606"),
    _case("log-loss-on-logits", "hand-written log loss of raw logits", lambda: mlp(2, nn.ReLU, out=1, init="he"), _FLAGS,
          supervised("bce", _log_loss), "GC605 GC501"),
)  # fmt: skip
_STEP = (
    _case("sgd-lr-1000", "learning rate 1000", _MLP, _X, CLASSIFY, "GC106", optimizer=sgd(1000.0)),
    _case("adam-lr-1", "Adam with learning rate 1", _MLP, _X, CLASSIFY, "GC106", optimizer=adam(1.0)),
    _case("adam-lr-10-cnn", "Adam with learning rate 10", plain_cnn, _IMAGES, CLASSIFY, "GC106", optimizer=adam(10.0)),
    _case("sgd-lr-1e-9", "learning rate 1e-9", _MLP, _X, CLASSIFY, "GC106", optimizer=sgd(1e-9)),
    _case("adam-lr-1e-10", "Adam with learning rate 1e-10", _MLP, _X, CLASSIFY, "GC106", optimizer=adam(1e-10)),
    _case("batchnorm-batch-2", "BatchNorm1d over two samples", lambda: normalised_mlp(3, nn.BatchNorm1d), vectors(2), CLASSIFY,
          "GC604"),
    _case("batchnorm-batch-2-resnet", "1×1 maps, two samples", lambda: resnet(BasicBlock), images(2, size=8), CLASSIFY,
          "GC604"),
    _case("batchnorm-batch-1-cnn", "1×1 map at the end, one sample a channel",
          lambda: nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, (1, 1), 2), nn.BatchNorm2d(8), nn.ReLU(),
                                nn.Flatten(), nn.Linear(16, 10)), lambda: _narrow(), CLASSIFY, "GC604"),
    _case("float16-underflow", "loss of size 1e-6 in float16", lambda: Half(mlp(3, nn.ReLU)), _X, TINY, "GC503 GC403"),
    _case("float16-underflow-tanh", "small gradients in float16", lambda: Half(chain(8, nn.Tanh, gain(0.25))), _X, HALF,
          "GC503 GC101"),
    _case("float16-overflow", "activations beyond 65504", lambda: Half(mlp(2, nn.ReLU, 512, "he"), 1.2e4), _X, HALF, "GC504",
          ("GC601", "GC602")),
    _case("float16-overflow-square", "a square in float16",
          lambda: Half(nn.Sequential(nn.Linear(32, 64), Square(), nn.Linear(64, 10)), 2e3),
          _X, HALF, "GC504", ("GC601", "GC602")),
)  # fmt: skip


class Square(nn.Module):
    """x²."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x


def _narrow() -> Batch:
    """One image of 4×8: two positions for each channel at the norm."""
    return Batch(args=(torch.randn(1, 3, 4, 8),), target=torch.randint(0, 10, (1,)))


CASES: tuple[Case, ...] = (*_DATA, *_LOSS, *_STEP)
