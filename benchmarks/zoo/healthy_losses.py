"""Healthy pairs of output and loss, inputs that look odd and are meant so, and optimizers as they are usually set."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Objective, OptimizerSpec, Outcome
from zoo.batches import flags, images, labelled_tokens, next_tokens, values, vectors
from zoo.cases import BINARY, CLASSIFY, PER_TOKEN, REGRESS, Case, MakeBatch, custom, healthy, supervised
from zoo.healthy_convnets import plain_cnn
from zoo.healthy_language import GPT
from zoo.healthy_recurrent import Tagger
from zoo.healthy_residual import BasicBlock, resnet
from zoo.healthy_tabular import mlp, normalised_mlp
from zoo.healthy_tutorials import TextClassifier, mlp_autoencoder


def ended(last: nn.Module, out: int = 1, inputs: int = 32) -> Callable[[], nn.Module]:
    """A two-layer network with an output activation."""
    return lambda: nn.Sequential(mlp(2, nn.ReLU, out=out, inputs=inputs), last)


def changed(
    make: MakeBatch, x: Callable[[Tensor], Tensor] = lambda t: t, y: Callable[[Tensor], Tensor] = lambda t: t
) -> MakeBatch:
    """Change the first input and the target of each batch."""

    def made() -> Batch:
        batch = make()
        return Batch(args=(x(batch.args[0]), *batch.args[1:]), target=y(batch.target))

    return made


def _padded_targets(ids: Tensor) -> Tensor:
    ids = ids.clone()
    ids[:, ids.shape[1] // 2 :] = -100
    return ids


def _units(x: Tensor) -> Tensor:
    """Features in units of their own: a factor of up to twenty apart."""
    return x * torch.logspace(-0.5, 0.8, x.shape[1])


class Scaled(nn.Module):
    """Divides pixels by 255 before anything else."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x / 255.0 - 0.5)


class Gaussian(nn.Module):
    """Mean and variance heads."""

    def __init__(self):
        super().__init__()
        self.body, self.mean, self.spread = nn.Sequential(nn.Linear(32, 48), nn.ReLU()), nn.Linear(48, 1), nn.Linear(48, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x)
        return self.mean(h), F.softplus(self.spread(h)) + 1e-4


def _loss(kind: str, loss: Callable[[Tensor, Tensor], Tensor]) -> Objective:
    return supervised(kind, loss)


def _pixels(make: MakeBatch) -> MakeBatch:
    return changed(make, lambda x: (x * 60 + 128).clamp(0, 255))


BCE = _loss("bce", lambda o, t: F.binary_cross_entropy(o, t))


def _self_bce(model: nn.Module, batch: Batch) -> Outcome:
    output = model(batch.args[0])
    return Outcome(loss=F.binary_cross_entropy(output, batch.args[0]), output=output, target=batch.args[0])


def _optimizer(name: str, lr: float, **options: float) -> OptimizerSpec:
    return OptimizerSpec(name=name, lr=lr, options=options, origin="found: optimizer")


_X, _Y, _IMAGES, _FLAGS, _LM = vectors(), values(), images(), flags(), next_tokens()
_MLP: Callable[[], nn.Module] = lambda: mlp(2, nn.ReLU)  # noqa: E731
_ONE: Callable[[], nn.Module] = lambda: mlp(2, nn.ReLU, out=1)  # noqa: E731
_LOSSES = (
    healthy("loss-sigmoid-bce", "loss", ended(nn.Sigmoid()), _FLAGS, BCE),
    healthy("loss-sigmoid-bce-multilabel", "loss", ended(nn.Sigmoid(), 6), flags(outputs=6), BCE),
    healthy("loss-bce-logits-multilabel", "loss", lambda: mlp(2, nn.ReLU, out=6), flags(outputs=6), BINARY),
    healthy("loss-bce-soft-labels", "loss", _ONE, changed(_FLAGS, y=lambda t: t * 0.9 + 0.05), BINARY),
    healthy("loss-tanh-mse", "loss", ended(nn.Tanh()), changed(_Y, y=lambda t: t.clamp(-1, 1)), REGRESS),
    healthy("loss-sigmoid-mse", "loss", ended(nn.Sigmoid()), changed(_Y, y=lambda t: t.sigmoid()), REGRESS),
    healthy("loss-softplus-positive", "loss", ended(nn.Softplus()), changed(_Y, y=lambda t: t.exp()), REGRESS),
    healthy("loss-softmax-distribution", "loss", ended(nn.Softmax(-1), 4),
            changed(values(outputs=4), y=lambda t: t.softmax(-1)), REGRESS),
    healthy("loss-kl", "loss", ended(nn.LogSoftmax(-1), 4), changed(values(outputs=4), y=lambda t: t.softmax(-1)),
            _loss("other", lambda o, t: F.kl_div(o, t, reduction="batchmean"))),
    healthy("loss-label-smoothing", "loss", _MLP, _X,
            _loss("cross_entropy", lambda o, t: F.cross_entropy(o, t, label_smoothing=0.1))),
    healthy("loss-class-weights", "loss", _MLP, _X,
            _loss("cross_entropy", lambda o, t: F.cross_entropy(o, t, weight=torch.linspace(0.1, 3, 10)))),
    healthy("loss-soft-classes", "loss", _MLP, changed(_X, y=lambda t: F.one_hot(t, 10).float() * 0.9 + 0.01), CLASSIFY),
    healthy("loss-multi-margin", "loss", _MLP, _X, _loss("other", lambda o, t: F.multi_margin_loss(o, t))),
    healthy("loss-poisson", "loss", _ONE, changed(_Y, y=lambda t: (t.exp() * 2).round()),
            _loss("other", lambda o, t: F.poisson_nll_loss(o, t))),
    healthy("loss-gaussian", "loss", Gaussian, _Y, _loss("other", lambda o, t: F.gaussian_nll_loss(o[0], t, o[1]))),
    healthy("loss-quantile", "loss", _ONE, _Y,
            _loss("other", lambda o, t: torch.maximum(0.9 * (t - o), -0.1 * (t - o)).mean())),
    healthy("loss-padded-tokens", "loss", GPT, changed(_LM, y=_padded_targets), PER_TOKEN, mechanism="7"),
    healthy("loss-autoencoder-bce", "loss", lambda: nn.Sequential(mlp_autoencoder(32, 24, 8), nn.Sigmoid()),
            changed(_X, torch.sigmoid), custom(_self_bce, "reconstruction")),
)  # fmt: skip
_INPUTS = (
    healthy("input-pixels-0-1", "input", plain_cnn, changed(_IMAGES, torch.sigmoid), CLASSIFY),
    healthy("input-pixels-scaled-inside", "input", lambda: Scaled(plain_cnn()), _pixels(_IMAGES), CLASSIFY),
    healthy("input-pixels-batchnorm-first", "input", lambda: nn.Sequential(nn.BatchNorm2d(3), plain_cnn()), _pixels(_IMAGES),
            CLASSIFY),
    healthy("input-own-units", "input", _MLP, changed(_X, _units), CLASSIFY),
    healthy("input-sparse", "input", _MLP, changed(_X, lambda x: x * (x > 1.2)), CLASSIFY),
    healthy("input-binary", "input", _MLP, changed(_X, lambda x: (x > 0).float()), CLASSIFY),
    healthy("input-offset-one", "input", _MLP, changed(_X, lambda x: x + 1), CLASSIFY),
    healthy("input-constant-feature", "input", _MLP,
            changed(_X, lambda x: torch.cat([x[:, :-1], torch.ones(len(x), 1)], 1)), CLASSIFY),
    healthy("targets-of-size-20", "input", _ONE, values(scale=20), REGRESS),
    healthy("targets-tiny", "input", _ONE, values(scale=1e-3), REGRESS),
    healthy("classes-unbalanced", "input", _MLP, changed(_X, y=lambda t: t * (torch.rand(len(t)) > 0.9)), CLASSIFY),
)  # fmt: skip
_OPTIMIZERS = (
    healthy("resnet-sgd-0.1", "optimizer", lambda: resnet(BasicBlock), _IMAGES, CLASSIFY,
            optimizer=_optimizer("SGD", 0.1, momentum=0.9)),
    healthy("mlp-adam-1e-3", "optimizer", _MLP, _X, CLASSIFY, optimizer=_optimizer("Adam", 1e-3)),
    healthy("mlp-adam-1e-2", "optimizer", _MLP, _X, CLASSIFY, optimizer=_optimizer("Adam", 1e-2)),
    healthy("mlp-sgd-0.01", "optimizer", lambda: mlp(3, nn.ReLU), _X, CLASSIFY, optimizer=_optimizer("SGD", 0.01)),
    healthy("mlp-batchnorm-sgd-1", "optimizer", lambda: normalised_mlp(3, nn.BatchNorm1d), _X, CLASSIFY,
            optimizer=_optimizer("SGD", 1.0)),
    healthy("gpt-adamw", "optimizer", GPT, _LM, PER_TOKEN, mechanism="3,4",
            optimizer=_optimizer("AdamW", 6e-4, weight_decay=0.1)),
    healthy("bert-finetune-2e-5", "optimizer", lambda: GPT(post_norm=True), _LM, PER_TOKEN, mechanism="4",
            optimizer=_optimizer("AdamW", 2e-5, weight_decay=0.01)),
    healthy("cnn-rmsprop", "optimizer", plain_cnn, _IMAGES, CLASSIFY, optimizer=_optimizer("RMSprop", 1e-3)),
    healthy("lstm-sgd-20", "optimizer", lambda: Tagger(nn.LSTM, 2, out=200, tied=True), _LM, PER_TOKEN, mechanism="8,12",
            optimizer=_optimizer("SGD", 20.0)),
    healthy("text-bag-sgd-5", "optimizer", TextClassifier, labelled_tokens(32, 20, 2000), CLASSIFY, mechanism="8",
            optimizer=_optimizer("SGD", 5.0)),
)  # fmt: skip


CASES: tuple[Case, ...] = (*_LOSSES, *_INPUTS, *_OPTIMIZERS)
