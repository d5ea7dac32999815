"""Networks as tutorials and repositories write them, with PyTorch's default initialisation and no norm to forgive it.

The default (gain 0.41 with ReLU, 0.58 with tanh) costs a plain network 0.39 or 0.24 decades a layer. Up to about six layers
that is harmless; the deeper ones here train with Adam and hardly with SGD, and a warning about them is true.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Outcome
from zoo.batches import forecasts, image_pairs, images, labelled_tokens, next_tokens, signals, values, vectors
from zoo.cases import ABSOLUTE, CLASSIFY, PER_TOKEN, REGRESS, SMOOTH_REGRESS, Case, custom, healthy
from zoo.healthy_convnets import plain_cnn, vgg
from zoo.healthy_images import UNet
from zoo.healthy_recurrent import SequenceClassifier, Tagger
from zoo.healthy_residual import BasicBlock, PreActBlock
from zoo.healthy_tabular import NeRF, mlp

MILD = "default initialisation over this many plain layers: SGD hardly moves the first ones, as He (2015) showed"


def default_nerf() -> nn.Module:
    """NeRF with the linear layers as PyTorch makes them."""
    net = NeRF()
    for module in net.modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    return net


def mlp_autoencoder(*widths: int) -> nn.Module:
    """Linear layers down and up again with ReLU between."""
    sizes = [*widths, *widths[-2::-1]]
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _self_reconstruction(model: nn.Module, batch: Batch) -> Outcome:
    output = model(batch.args[0])
    return Outcome(loss=F.mse_loss(output, batch.args[0]), output=output, target=batch.args[0])


class AtariNet(nn.Module):
    """The DQN of 2015 on four frames."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(4, 16, 8, 4),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, 1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.fc = nn.Sequential(nn.Linear(32 * 4 * 4, 128), nn.ReLU(), nn.Linear(128, 6))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x))


def super_resolution() -> nn.Module:
    """SRCNN: three convolutions of decreasing size."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 9, padding=4), nn.ReLU(), nn.Conv2d(32, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 3, 5, padding=2)
    )


class NBeats(nn.Module):
    """Doubly residual blocks: each explains part of the past and adds to the forecast."""

    def __init__(self, past: int = 32, blocks: int = 4):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *[m for i in range(4) for m in (nn.Linear(past if i == 0 else 64, 64), nn.ReLU())], nn.Linear(64, past + 1)
            )
            for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        forecast = torch.zeros(len(x), 1)
        for block in self.blocks:
            back, forward = block(x).split([x.shape[1], 1], -1)
            x, forecast = x - back, forecast + forward
        return forecast


class RowRNN(nn.Module):
    """A vanilla RNN that reads an image row by row, 28 steps."""

    def __init__(self, cell: type[nn.Module] = nn.RNN):
        super().__init__()
        self.rnn, self.fc = cell(28, 64, batch_first=True), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x[:, 0])[0][:, -1])


class TextClassifier(nn.Module):
    """nn.EmbeddingBag and a linear layer, both drawn from ±0.5."""

    def __init__(self):
        super().__init__()
        self.emb, self.fc = nn.EmbeddingBag(2000, 32), nn.Linear(32, 5)
        for weight in (self.emb.weight, self.fc.weight):
            nn.init.uniform_(weight, -0.5, 0.5)
        nn.init.zeros_(self.fc.bias)

    def forward(self, ids: Tensor) -> Tensor:
        return self.fc(self.emb(ids))


class EncoderLM(nn.Module):
    """The nn.TransformerEncoder language model of the tutorials: embeddings times √d, weights in ±0.1."""

    def __init__(self, vocabulary: int = 200, dim: int = 64):
        super().__init__()
        self.emb, self.head = nn.Embedding(vocabulary, dim), nn.Linear(dim, vocabulary)
        layer = nn.TransformerEncoderLayer(dim, 4, 128, 0.2, batch_first=True)
        self.core = nn.TransformerEncoder(layer, 2)
        nn.init.uniform_(self.emb.weight, -0.1, 0.1)
        nn.init.uniform_(self.head.weight, -0.1, 0.1)

    def forward(self, ids: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        return self.head(self.core(self.emb(ids) * 8.0, mask=mask, is_causal=True))


class PhysicsNet(nn.Module):
    """Tanh network that must solve u' = -u, u(0) = 1."""

    def __init__(self, depth: int = 5, width: int = 20):
        super().__init__()
        sizes = [1] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.out = nn.Linear(width, 1)
        for layer in [*self.layers, self.out]:
            nn.init.xavier_normal_(layer.weight)

    def forward(self, t: Tensor) -> Tensor:
        for layer in self.layers:
            t = torch.tanh(layer(t))
        return self.out(t)


def _residual(model: nn.Module, batch: Batch) -> Outcome:
    t = batch.args[0].clone().requires_grad_()
    u = model(t)
    slope = torch.autograd.grad(u.sum(), t, create_graph=True)[0]
    loss = ((slope + u) ** 2).mean() + ((model(torch.zeros(1, 1)) - 1) ** 2).mean()
    return Outcome(loss=loss, output=u)


def default_resnet(block, width: int = 16) -> nn.Module:
    """A residual network whose convolutions keep PyTorch's default."""
    stem = [nn.Conv2d(3, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU()]
    blocks = [block(width * 2 ** max(0, i - 1), width * 2**i, 2 if i else 1) for i in range(4)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10))


_X, _IMAGES = vectors(), images()
_SELF = custom(_self_reconstruction, "reconstruction")
CASES: tuple[Case, ...] = (
    *(healthy(f"mlp-relu-{d}-default", "tutorial", lambda d=d: mlp(d, nn.ReLU), _X, CLASSIFY) for d in (4, 5, 6)),
    *(healthy(f"mlp-tanh-{d}-default", "tutorial", lambda d=d: mlp(d, nn.Tanh), _X, CLASSIFY) for d in (4, 6)),
    *(healthy(f"mlp-{n}-5-default", "tutorial", lambda a=a: mlp(5, a), _X, CLASSIFY)
      for n, a in (("leaky-relu", nn.LeakyReLU), ("elu", nn.ELU), ("silu", nn.SiLU), ("mish", nn.Mish))),
    healthy("mlp-relu-wide", "tutorial", lambda: mlp(3, nn.ReLU, 512), _X, CLASSIFY),
    healthy("mlp-relu-narrow", "tutorial", lambda: mlp(3, nn.ReLU, 8), _X, CLASSIFY),
    healthy("mlp-sigmoid-2-default", "tutorial", lambda: mlp(2, nn.Sigmoid), _X, CLASSIFY),
    healthy("mlp-relu-8-default", "tutorial", lambda: mlp(8, nn.ReLU), _X, CLASSIFY),
    healthy("nerf-default", "tutorial", default_nerf, values(256, 3, 4, scale=0.3, shift=0.5), REGRESS),
    healthy("vgg-11-default", "tutorial", lambda: vgg(11, norm=False, published_init=False), images(32), CLASSIFY,
            allowed=["GC101"], defence=MILD),
    healthy("vgg-11-bn-default", "tutorial", lambda: vgg(11, norm=True, published_init=False), _IMAGES, CLASSIFY,
            mechanism="3"),
    healthy("autoencoder-mlp-4", "tutorial", lambda: mlp_autoencoder(32, 24, 8), values(), _SELF),
    healthy("autoencoder-mlp-6", "tutorial", lambda: mlp_autoencoder(64, 48, 24, 8), values(features=64), _SELF),
    healthy("autoencoder-mlp-8", "tutorial", lambda: mlp_autoencoder(64, 48, 32, 16, 4), values(features=64), _SELF),
    healthy("dqn-atari", "tutorial", AtariNet, images(16, 4, 64, 6), CLASSIFY),
    healthy("srcnn", "tutorial", super_resolution, image_pairs(), REGRESS),
    healthy("srcnn-l1", "tutorial", super_resolution, image_pairs(), ABSOLUTE),
    healthy("n-beats", "tutorial", NBeats, values(32, 32), SMOOTH_REGRESS),
    healthy("rnn-rows", "tutorial", RowRNN, images(32, 1, 28), CLASSIFY, mechanism="11"),
    healthy("lstm-rows", "tutorial", lambda: RowRNN(nn.LSTM), images(32, 1, 28), CLASSIFY, mechanism="11"),
    healthy("rnn-language-model", "tutorial", lambda: Tagger(nn.RNN, 2, out=200), next_tokens(8, 35), PER_TOKEN, mechanism="8"),
    healthy("lstm-four-layers", "tutorial", lambda: Tagger(nn.LSTM, 4, out=200), next_tokens(), PER_TOKEN, mechanism="8"),
    healthy("lstm-forecast-300", "tutorial", lambda: SequenceClassifier(nn.LSTM, mean=True), signals(4, 300), CLASSIFY),
    healthy("gru-wide", "tutorial", lambda: SequenceClassifier(nn.GRU, width=256), signals(8, 50), CLASSIFY, mechanism="11"),
    healthy("text-bag", "tutorial", TextClassifier, labelled_tokens(32, 20, 2000), CLASSIFY, mechanism="8"),
    healthy("encoder-lm", "tutorial", EncoderLM, next_tokens(), PER_TOKEN, mechanism="3,4,8"),
    healthy("pinn", "tutorial", PhysicsNet, lambda: Batch(args=(torch.rand(64, 1) * 2,)), custom(_residual, "residual")),
    healthy("resnet-default", "tutorial", lambda: default_resnet(BasicBlock), _IMAGES, CLASSIFY),
    healthy("resnet-preact-default", "tutorial", lambda: default_resnet(PreActBlock), _IMAGES, CLASSIFY),
    healthy("unet-wide-no-norm", "tutorial", lambda: UNet(width=24, norm=False), image_pairs(out=4), REGRESS, mechanism="10"),
    healthy("cnn-batch-1", "tutorial", plain_cnn, images(1), CLASSIFY, mechanism="7"),
    healthy("wave-forecast", "tutorial", lambda: Forecaster(), forecasts(), REGRESS),
)  # fmt: skip


class Forecaster(nn.Module):
    """GRU that predicts the next value at every step."""

    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.GRU(1, 32, 2, batch_first=True), nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(x)[0])
