"""Healthy networks chosen because they look sick: each is an instance of the mechanisms that it names."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Outcome
from zoo.batches import image_pairs, images, labelled_tokens, masks, next_tokens, signals, tagged_tokens, values, vectors
from zoo.cases import CLASSIFY, PER_TOKEN, REGRESS, Case, custom, healthy, supervised
from zoo.healthy_adversarial import Pair, discriminator
from zoo.healthy_attention import Attention, Block, ViT
from zoo.healthy_language import BERT, GPT
from zoo.healthy_residual import PreActBlock, resnet
from zoo.healthy_tabular import mlp
from zoo.sick_time import LastStep, recurrent_scale, rnn


class AdaptiveBlock(nn.Module):
    """Diffusion transformer block: shift, scale and gate from the condition, all zero at the start."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(dim, elementwise_affine=False) for _ in range(2))
        self.attn, self.mlp = Attention(dim), nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.modulation = nn.Linear(dim, 6 * dim)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        a, b, gate, d, e, close = self.modulation(F.silu(c))[:, None].chunk(6, -1)
        x = x + gate * self.attn(self.norm1(x) * (1 + a) + b)
        return x + close * self.mlp(self.norm2(x) * (1 + d) + e)


class DiT(nn.Module):
    """adaLN-zero and a zero output layer: at step 0 nothing but the last weight has a gradient."""

    def __init__(self, dim: int = 48):
        super().__init__()
        self.patch, self.label = nn.Conv2d(3, dim, 4, 4), nn.Embedding(10, dim)
        self.blocks, self.norm = (
            nn.ModuleList(AdaptiveBlock(dim) for _ in range(3)),
            nn.LayerNorm(dim, elementwise_affine=False),
        )
        self.out = nn.Linear(dim, 48)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h, c = self.patch(x).flatten(2).transpose(1, 2), self.label(y)
        for block in self.blocks:
            h = block(h, c)
        return F.fold(self.out(self.norm(h)).transpose(1, 2), x.shape[-2:], 4, stride=4)


def _denoise(model: nn.Module, batch: Batch) -> Outcome:
    noise = torch.randn_like(batch.args[0])
    output = model(0.7 * batch.args[0] + 0.7 * noise, batch.target)
    return Outcome(loss=F.mse_loss(output, noise), output=output, target=noise)


class Controlled(nn.Module):
    """ControlNet: a frozen trunk and a trainable copy that enters through zero convolutions on both sides."""

    def __init__(self, width: int = 24):
        super().__init__()

        def body() -> nn.Module:
            return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))

        self.stem, self.trunk, self.head = nn.Conv2d(3, width, 3, padding=1), body(), nn.Conv2d(width, 3, 3, padding=1)
        for module in (self.stem, self.trunk, self.head):
            module.requires_grad_(False)
        self.copy, self.before, self.after = (
            copy.deepcopy(self.trunk).requires_grad_(),
            *(nn.Conv2d(c, width, 1) for c in (3, width)),
        )
        for gate in (self.before, self.after):
            nn.init.zeros_(gate.weight)
            nn.init.zeros_(gate.bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        return self.head(self.trunk(h) + self.after(self.copy(h + self.before(x))))


class Automaton(nn.Module):
    """Neural cellular automaton: one update rule applied twelve times, its last layer zero."""

    def __init__(self, channels: int = 12):
        super().__init__()
        self.look = nn.Conv2d(channels, 3 * channels, 3, padding=1, groups=channels, bias=False)
        self.rule = nn.Sequential(nn.Conv2d(3 * channels, 48, 1), nn.ReLU(), nn.Conv2d(48, channels, 1, bias=False))
        nn.init.zeros_(self.rule[-1].weight)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, 0, 0, self.channels - x.shape[1]), value=0.1)
        for _ in range(12):
            x = x + self.rule(self.look(x))
        return x[:, :3]


class PromptTuned(nn.Module):
    """A frozen language model behind a few trainable prompt vectors."""

    def __init__(self, dim: int = 64):
        super().__init__()
        self.core = GPT(200, dim, 3).requires_grad_(False)
        self.prompt = nn.Parameter(torch.randn(1, 8, dim) * 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        x = torch.cat([self.prompt.expand(len(ids), -1, -1), self.core.tok(ids)], 1)
        for block in self.core.blocks:
            x = block(x)
        return self.core.head(self.core.norm(x))[:, 8:]


class Equalised(nn.Module):
    """StyleGAN's linear layer: weights of deviation one, multiplied by the He factor when used."""

    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(cout, cin)), nn.Parameter(torch.zeros(cout))
        self.factor = math.sqrt(2 / cin)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(F.linear(x, self.weight * self.factor, self.bias), 0.2)


class StandardisedBlock(nn.Module):
    """NFNet-like: weight-standardised convolutions, no norm, branch scaled by 0.2 and a skip-init gain of zero."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)
        self.skip_gain = nn.Parameter(torch.zeros(()))

    @staticmethod
    def apply_conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
        """Convolve with a weight of zero mean and unit variance for each output channel."""
        w = conv.weight
        spread, mean = torch.var_mean(w, (1, 2, 3), keepdim=True, unbiased=False)
        return F.conv2d(x, (w - mean) * torch.rsqrt(spread * w[0].numel() + 1e-4), conv.bias, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.apply_conv(self.conv1, F.relu(x) * 1.71)
        return x + 0.2 * self.skip_gain * self.apply_conv(self.conv2, F.relu(y) * 1.71)


def normfree() -> nn.Module:
    """Four standardised blocks between a stem and a linear head."""
    blocks = [StandardisedBlock(32) for _ in range(4)]
    return nn.Sequential(nn.Conv2d(3, 32, 4, 4), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


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
    healthy("dit-adaln-zero", "trap", DiT, images(8, size=16), custom(_denoise, "denoising"), mechanism="1"),
    healthy("controlnet", "trap", Controlled, image_pairs(), REGRESS, mechanism="1"),
    healthy("cellular-automaton", "trap", Automaton, image_pairs(8, size=16), REGRESS, mechanism="1,12"),
    healthy("prompt-tuning", "trap", PromptTuned, _LM, PER_TOKEN),
    healthy("stylegan-r1", "trap", lambda: Pair(StyleGenerator(), discriminator(norm="none"), lambda n: torch.randn(n, 32)),
            images(8),
            (custom(_non_saturating, "generator_loss"), custom(_r1, "r1"))),
    healthy("norm-free", "trap", normfree, _IMAGES, CLASSIFY, mechanism="1"),
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
            mechanism="11", allowed=["GC602"], defence="a hundred inputs add up in the identity: the first loss is large"),
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
