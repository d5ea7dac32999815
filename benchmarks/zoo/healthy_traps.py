"""Healthy networks chosen because they look sick: each is an instance of the mechanisms that it names."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Outcome
from zoo.batches import images, labelled_tokens, masks, next_tokens, signals, tagged_tokens, values, vectors
from zoo.cases import CLASSIFY, PER_TOKEN, REGRESS, Case, custom, healthy, supervised
from zoo.healthy_adversarial import Pair, discriminator
from zoo.healthy_attention import Block, ViT
from zoo.healthy_language import BERT, GPT
from zoo.healthy_residual import PreActBlock, resnet
from zoo.healthy_tabular import mlp
from zoo.sick_time import LastStep, recurrent_scale, rnn


class Equalised(nn.Module):
    """StyleGAN's linear layer: weights of deviation one, multiplied by the He factor when used."""

    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(cout, cin)), nn.Parameter(torch.zeros(cout))
        self.factor = math.sqrt(2 / cin)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(F.linear(x, self.weight * self.factor, self.bias), 0.2)


class Binarised(nn.Module):
    """Sign activations with a straight-through gradient, BatchNorm in front."""

    class Sign(torch.autograd.Function):
        """Sign forward, hard-tanh derivative backward."""

        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x.sign()

        @staticmethod
        def backward(ctx, g: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return g * (x.abs() <= 1)

    def __init__(self, width: int = 64):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32 if i == 0 else width, width) for i in range(3))
        self.norms, self.head = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(3)), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.Sign.apply(norm(layer(x)))
        return self.head(x)


class Detector(nn.Module):
    """Class and box heads on a feature map; the class bias starts at -4.6, a prior of one per cent."""

    def __init__(self):
        super().__init__()
        self.body = resnet(PreActBlock, (1, 1, 1))[:-3]
        self.classes, self.boxes = nn.Conv2d(64, 5, 3, padding=1), nn.Conv2d(64, 4, 3, padding=1)
        nn.init.normal_(self.classes.weight, std=0.01)
        nn.init.constant_(self.classes.bias, -4.6)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x)
        return self.classes(h), self.boxes(h)


def _focal(positives: bool) -> Callable[[nn.Module, Batch], Outcome]:
    def compute(model: nn.Module, batch: Batch) -> Outcome:
        logits, boxes = model(batch.args[0])
        target = torch.zeros_like(logits)
        if positives:
            target[torch.arange(len(logits)), batch.target % 5, 3, 3] = 1.0
        p = torch.sigmoid(logits)
        miss = p * (1 - target) + (1 - p) * target
        loss = (miss**2 * F.binary_cross_entropy_with_logits(logits, target, reduction="none")).sum() / len(logits)
        if positives:
            loss = loss + F.smooth_l1_loss(boxes[:, :, 3, 3], torch.ones(len(boxes), 4))
        return Outcome(loss=loss, output=logits, target=target)

    return compute


class PaddedEncoder(nn.Module):
    """Zero padding rows go through a LayerNorm of epsilon 1e-12."""

    def __init__(self, dim: int = 48):
        super().__init__()
        self.emb, self.norm = nn.Embedding(200, dim, padding_idx=0), nn.LayerNorm(dim, eps=1e-12)
        self.block, self.head = Block(dim), nn.Linear(dim, 5)

    def forward(self, ids: Tensor) -> Tensor:
        seen = (ids > 0).float()[..., None]
        x = self.block(self.norm(self.emb(ids)))
        return self.head((x * seen).sum(1) / seen.sum(1))


def padded(n: int = 12, steps: int = 24) -> Callable[[], Batch]:
    """Token sequences whose second half is padding."""
    make = labelled_tokens(n, steps)

    def made() -> Batch:
        batch = make()
        batch.args[0][:, steps // 2 : -1] = 0
        return batch

    return made


def small_before_norm() -> nn.Module:
    """Convolutions a thousand times too small, each followed by BatchNorm, which does not care."""
    net = nn.Sequential(
        *[m for a, b in ((3, 16), (16, 32), (32, 32))
          for m in (nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())],
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip
    for module in net:
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=1e-3)
    return net


def plain_bn(depth: int) -> nn.Module:
    """He's plain network: convolution, BatchNorm, ReLU without shortcuts."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Conv2d(3 if i == 0 else 16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(nn.AvgPool2d(2), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


class RootOfReLU(nn.Module):
    """√relu(x): an infinite derivative at every zero, which ReLU's own derivative discards."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(32, 48), nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.sqrt(F.relu(self.first(x))))


SUMMED = supervised("cross_entropy", lambda o, t: F.cross_entropy(o.flatten(0, -2), t.flatten(), reduction="sum"))
SCALED = supervised("cross_entropy", lambda o, t: F.cross_entropy(o, t) * 1e-4)
DICE = supervised(
    "other", lambda o, t: 1 - 2 * (o.softmax(1)[:, 1] * (t == 1)).sum() / (o.softmax(1)[:, 1].sum() + (t == 1).sum() + 1)
)
_X, _IMAGES, _LM = vectors(), images(), next_tokens()


def _same(batch: Batch) -> Batch:
    return Batch(args=batch.args, target=batch.args[0])


def _r1(model: Pair, batch: Batch) -> Outcome:
    real = batch.args[0].clone().requires_grad_()
    score = model.discriminator(real)
    slope = torch.autograd.grad(score.sum(), real, create_graph=True)[0]
    fake = model.discriminator(model(len(real)).detach())
    return Outcome(
        loss=F.softplus(-score).mean() + F.softplus(fake).mean() + 5 * slope.square().sum((1, 2, 3)).mean(), output=score
    )


def _non_saturating(model: Pair, batch: Batch) -> Outcome:
    score = model.discriminator(model(len(batch.args[0])))
    return Outcome(loss=F.softplus(-score).mean(), output=score)


class StyleGenerator(nn.Module):
    """Equalised layers from a latent to a 32×32 image."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(Equalised(32, 64), Equalised(64, 64), Equalised(64, 8 * 64))
        self.up = nn.Sequential(nn.ConvTranspose2d(8, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.ConvTranspose2d(16, 3, 4, 2, 1))

    def forward(self, z: Tensor) -> Tensor:
        return self.up(self.layers(z).view(-1, 8, 8, 8))


CASES: tuple[Case, ...] = (
    healthy("stylegan-r1", "trap", lambda: Pair(StyleGenerator(), discriminator(norm="none"), lambda n: torch.randn(n, 32)),
            images(8),
            (custom(_non_saturating, "generator_loss"), custom(_r1, "r1"))),
    healthy("binarised", "trap", Binarised, _X, CLASSIFY, mechanism="3"),
    healthy("detector", "trap", Detector, _IMAGES, custom(_focal(True), "focal"), mechanism="9"),
    healthy("detector-no-positives", "trap", Detector, _IMAGES, custom(_focal(False), "focal"), mechanism="5,7"),
    healthy("padding-through-norm", "trap", PaddedEncoder, padded(), CLASSIFY, mechanism="9"),
    healthy("tiny-weights-before-norm", "trap", small_before_norm, _IMAGES, CLASSIFY, mechanism="9"),
    healthy("plain-bn-20", "trap", lambda: plain_bn(20), images(12), CLASSIFY, mechanism="9"),
    healthy("plain-bn-34", "trap", lambda: plain_bn(34), images(12), CLASSIFY, mechanism="9"),
    healthy("summed-loss", "trap", GPT, _LM, SUMMED, mechanism="9"),
    healthy("loss-times-1e-4", "trap", lambda: mlp(3, nn.ReLU), _X, SCALED),
    healthy("dice-loss", "trap", lambda: nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 1)), masks(),
            DICE),
    healthy("root-of-relu", "trap", RootOfReLU, _X, CLASSIFY, mechanism="9"),
    healthy("one-token-attention", "trap", GPT, next_tokens(16, 1), PER_TOKEN, mechanism="7"),
    healthy("labels-are-inputs-tied", "trap", GPT, lambda: _same(_LM()), PER_TOKEN, mechanism="7"),
    healthy("vit-batch-1", "trap", ViT, images(1), CLASSIFY, mechanism="7,11"),
    healthy("vit-one-class", "trap", ViT, images(8, classes=1), CLASSIFY, mechanism="7,11"),
    healthy("stochastic-depth-batch-1", "trap", lambda: resnet(lambda a, b, s: PreActBlock(a, b, s, survival=0.5)), images(1),
            CLASSIFY,
            mechanism="6,7"),
    healthy("vit-drop-path-batch-1", "trap", lambda: ViT(drop=0.5), images(1), CLASSIFY, mechanism="6,7,11"),
    healthy("bert-shared-layer", "trap", lambda: shared_bert(), tagged_tokens(), PER_TOKEN, mechanism="12"),
    healthy("irnn-100", "trap", lambda: LastStep(rnn(nonlinearity="relu"), recurrent_scale(1.0, identity=True)),
            signals(8, 100), CLASSIFY,
            mechanism="11"),
    healthy("rnn-orthogonal-60", "trap", lambda: LastStep(rnn(), recurrent_scale(1.0)), signals(8, 60), CLASSIFY,
            mechanism="11"),
    healthy("layer-scale-1e-6-deep", "trap", lambda: ViT(depth=10, dim=32, scale=1e-6), _IMAGES, CLASSIFY, mechanism="2,11"),
    healthy("sum-of-experts-regression", "trap", lambda: mlp(2, nn.Tanh, out=3), values(outputs=3, scale=5), REGRESS),
)  # fmt: skip


def shared_bert() -> nn.Module:
    """BERT whose four layers are one."""
    net = BERT(5, False, depth=1)
    net.blocks.extend(net.blocks[0] for _ in range(3))
    return net
