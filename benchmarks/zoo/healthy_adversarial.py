"""Healthy adversarial pairs: each has one objective for the generator and one for the discriminator."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gradcheck_cli.loading.base import Batch, Outcome
from zoo.batches import image_pairs, images, values
from zoo.cases import Case, custom, healthy
from zoo.healthy_images import UNet


def dcgan_init(module: nn.Module) -> None:
    """Normal weights of standard deviation 0.02, as the paper says."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def generator(width: int = 16, latent: int = 32) -> nn.Module:
    """Transposed convolutions from 1×1 to 32×32 with BatchNorm and tanh."""
    w = width
    return nn.Sequential(
        nn.ConvTranspose2d(latent, 4 * w, 4, 1, 0, bias=False), nn.BatchNorm2d(4 * w), nn.ReLU(True),
        nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * w), nn.ReLU(True),
        nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU(True),
        nn.ConvTranspose2d(w, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip


def discriminator(width: int = 16, norm: str = "batch") -> nn.Module:
    """Strided convolutions to one logit; BatchNorm, spectral norm or nothing."""
    layers: list[nn.Module] = []
    for i, (cin, cout) in enumerate(((3, width), (width, 2 * width), (2 * width, 4 * width))):
        conv = nn.Conv2d(cin, cout, 4, 2, 1)
        layers.append(spectral_norm(conv) if norm == "spectral" else conv)
        layers += [nn.BatchNorm2d(cout)] if norm == "batch" and i else []
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    last = nn.Conv2d(4 * width, 1, 4)
    return nn.Sequential(*layers, spectral_norm(last) if norm == "spectral" else last, nn.Flatten())


class Pair(nn.Module):
    """Generator and discriminator in one module."""

    def __init__(self, g: nn.Module, d: nn.Module, latent: Callable[[int], Tensor], init: bool = False):
        super().__init__()
        self.generator, self.discriminator, self.latent = g, d, latent
        if init:
            self.apply(dcgan_init)

    def forward(self, n: int) -> Tensor:
        return self.generator(self.latent(n))


def _noise_image(n: int) -> Tensor:
    return torch.randn(n, 32, 1, 1)


def _fool(model: Pair, batch: Batch) -> Outcome:
    logits = model.discriminator(model(len(batch.args[0])))
    target = torch.ones_like(logits)
    return Outcome(loss=F.binary_cross_entropy_with_logits(logits, target), output=logits, target=target)


def _detect(model: Pair, batch: Batch) -> Outcome:
    real = batch.args[0]
    fake = model(len(real)).detach()
    logits = torch.cat([model.discriminator(real), model.discriminator(fake)])
    target = torch.cat([torch.ones(len(real), 1), torch.zeros(len(real), 1)])
    return Outcome(loss=F.binary_cross_entropy_with_logits(logits, target), output=logits, target=target)


def _hinge(model: Pair, batch: Batch) -> Outcome:
    real = batch.args[0]
    good, bad = model.discriminator(real), model.discriminator(model(len(real)).detach())
    return Outcome(loss=F.relu(1 - good).mean() + F.relu(1 + bad).mean(), output=torch.cat([good, bad]))


def _critic(model: Pair, batch: Batch) -> Outcome:
    """WGAN-GP: the penalty calls autograd inside the objective."""
    real = batch.args[0]
    fake = model(len(real)).detach()
    mixed = torch.lerp(real, fake, torch.rand(len(real), *[1] * (real.dim() - 1))).requires_grad_()
    slope = torch.autograd.grad(model.discriminator(mixed).sum(), mixed, create_graph=True)[0]
    penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    good, bad = model.discriminator(real), model.discriminator(fake)
    return Outcome(loss=bad.mean() - good.mean() + 10 * penalty, output=torch.cat([good, bad]))


def _generate(model: Pair, batch: Batch) -> Outcome:
    score = model.discriminator(model(len(batch.args[0])))
    return Outcome(loss=-score.mean(), output=score)


class PatchPair(nn.Module):
    """pix2pix: U-Net generator and a patch discriminator that sees input and output."""

    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = UNet(out=3), nn.Sequential(
            nn.Conv2d(6, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 4, 2, 1), nn.BatchNorm2d(32),
            nn.LeakyReLU(0.2), nn.Conv2d(32, 1, 4, 1, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.generator(x)


def _paint(model: PatchPair, batch: Batch) -> Outcome:
    x, y = batch.args[0], batch.target
    made = model(x)
    patches = model.discriminator(torch.cat([x, made], 1))
    adversarial = F.binary_cross_entropy_with_logits(patches, torch.ones_like(patches))
    return Outcome(loss=adversarial + 100 * F.l1_loss(made, y), output=made, target=y)


def _judge_patches(model: PatchPair, batch: Batch) -> Outcome:
    x, y = batch.args[0], batch.target
    logits = torch.cat([model.discriminator(torch.cat([x, z], 1)) for z in (y, model(x).detach())])
    target = torch.cat([torch.ones(len(x), *logits.shape[1:]), torch.zeros(len(x), *logits.shape[1:])])
    return Outcome(loss=F.binary_cross_entropy_with_logits(logits, target), output=logits, target=target)


def mlp(*widths: int) -> nn.Module:
    """Linear layers with LeakyReLU between them."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


_GAN = (custom(_fool, "generator_loss"), custom(_detect, "discriminator_loss"))
_WGAN = (custom(_generate, "generator_loss"), custom(_critic, "critic_loss"))
CASES: tuple[Case, ...] = (
    healthy("dcgan", "adversarial", lambda: Pair(generator(), discriminator(), _noise_image, True), images(), _GAN),
    healthy(
        "gan-spectral-norm", "adversarial", lambda: Pair(generator(), discriminator(norm="spectral"), _noise_image),
        images(), (custom(_generate, "generator_loss"), custom(_hinge, "hinge_loss")),
    ),
    healthy(
        "wgan-gp", "adversarial", lambda: Pair(generator(), discriminator(norm="none"), _noise_image), images(), _WGAN
    ),
    healthy(
        "gan-mlp", "adversarial", lambda: Pair(mlp(16, 64, 64, 32), mlp(32, 64, 64, 1), lambda n: torch.randn(n, 16)),
        values(), _GAN,
    ),
    healthy(
        "wgan-gp-mlp", "adversarial",
        lambda: Pair(mlp(16, 64, 64, 32), mlp(32, 64, 64, 1), lambda n: torch.randn(n, 16)), values(), _WGAN,
    ),
    healthy(
        "pix2pix", "adversarial", PatchPair, image_pairs(),
        (custom(_paint, "generator_loss"), custom(_judge_patches, "discriminator_loss")), mechanism="3",
    ),
)  # fmt: skip
