"""Healthy image-to-image networks and generative models."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Outcome
from zoo.batches import image_pairs, images, masks, values
from zoo.cases import CLASSIFY, REGRESS, Case, custom, healthy


def double_conv(cin: int, cout: int, norm: bool = True) -> nn.Sequential:
    """Two 3×3 convolutions with ReLU."""
    layers: list[nn.Module] = []
    for a, b in ((cin, cout), (cout, cout)):
        layers += [nn.Conv2d(a, b, 3, padding=1), *([nn.BatchNorm2d(b)] if norm else []), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Three scales, concatenated skips, transposed convolutions; default initialisation."""

    def __init__(self, out: int = 4, width: int = 12, norm: bool = True):
        super().__init__()
        w = width
        self.down1, self.down2 = double_conv(3, w, norm), double_conv(w, 2 * w, norm)
        self.bottom = double_conv(2 * w, 4 * w, norm)
        self.up2, self.dec2 = nn.ConvTranspose2d(4 * w, 2 * w, 2, 2), double_conv(4 * w, 2 * w, norm)
        self.up1, self.dec1 = nn.ConvTranspose2d(2 * w, w, 2, 2), double_conv(2 * w, w, norm)
        self.out = nn.Conv2d(w, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        b = self.dec2(torch.cat([self.up2(c), b], 1))
        return self.out(self.dec1(torch.cat([self.up1(b), a], 1)))


def conv_autoencoder() -> nn.Module:
    """Strided convolutions down to 4×4 and transposed ones back."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(16, 3, 4, 2, 1),
    )  # fmt: skip


class VAE(nn.Module):
    """Gaussian variational autoencoder on vectors."""

    def __init__(self, features: int = 32, latent: int = 8):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.mu, self.logvar = nn.Linear(64, latent), nn.Linear(64, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, features))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.encoder(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.decoder(z), mu, logvar


def _elbo(model: nn.Module, batch: Batch) -> Outcome:
    x = batch.args[0]
    reconstruction, mu, logvar = model(x)
    divergence = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(-1).mean()
    return Outcome(loss=F.mse_loss(reconstruction, x, reduction="sum") / len(x) + divergence, output=reconstruction, target=x)


class VectorQuantised(nn.Module):
    """VQ-VAE: nearest code with a straight-through gradient; most codes are not used by a batch."""

    def __init__(self, codes: int = 64, dim: int = 16):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, dim, 4, 2, 1))
        self.codebook = nn.Embedding(codes, dim)
        nn.init.uniform_(self.codebook.weight, -1 / codes, 1 / codes)
        self.decoder = nn.Sequential(nn.ConvTranspose2d(dim, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 3, 4, 2, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encoder(x).permute(0, 2, 3, 1)
        nearest = torch.cdist(z.reshape(-1, z.shape[-1]), self.codebook.weight).argmin(-1)
        q = self.codebook(nearest).view(z.shape)
        extra = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        return self.decoder((z + (q - z).detach()).permute(0, 3, 1, 2)), extra


def _quantised(model: nn.Module, batch: Batch) -> Outcome:
    reconstruction, extra = model(batch.args[0])
    return Outcome(loss=F.mse_loss(reconstruction, batch.args[0]) + extra, output=reconstruction, target=batch.args[0])


class Coupling(nn.Module):
    """RealNVP affine coupling; its last layer starts at zero, so that the flow starts as the identity."""

    def __init__(self, features: int, flip: bool):
        super().__init__()
        half = features // 2
        self.net = nn.Sequential(nn.Linear(half, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2 * half))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)
        self.flip = flip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.chunk(2, -1)
        a, b = (b, a) if self.flip else (a, b)
        scale, shift = self.net(a).chunk(2, -1)
        scale = torch.tanh(scale)
        b = b * scale.exp() + shift
        return torch.cat([b, a] if self.flip else [a, b], -1), scale.sum(-1)


class RealNVP(nn.Module):
    """Four coupling layers; returns latent and log-determinant."""

    def __init__(self, features: int = 8):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(features, bool(i % 2)) for i in range(4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros(len(x))
        for layer in self.layers:
            x, logdet = layer(x)
            total = total + logdet
        return x, total


def _likelihood(model: nn.Module, batch: Batch) -> Outcome:
    z, logdet = model(batch.args[0])
    nats = 0.5 * (z**2).sum(-1) + 0.5 * z.shape[-1] * math.log(2 * math.pi) - logdet
    return Outcome(loss=nats.mean(), output=z)


class TimeBlock(nn.Module):
    """Diffusion residual block: GroupNorm, SiLU, time embedding, second convolution zero."""

    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, cin), nn.Conv2d(cin, cout, 3, padding=1)
        self.time = nn.Linear(32, cout)
        self.norm2, self.conv2 = nn.GroupNorm(4, cout), nn.Conv2d(cout, cout, 3, padding=1)
        self.skip = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(t))[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class DiffusionUNet(nn.Module):
    """Predicts the noise; its output convolution starts at zero, as in the published code."""

    def __init__(self, width: int = 16):
        super().__init__()
        w = width
        self.embed = nn.Sequential(nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 32))
        self.stem = nn.Conv2d(3, w, 3, padding=1)
        self.down1, self.down2 = TimeBlock(w, w), TimeBlock(w, 2 * w)
        self.middle = TimeBlock(2 * w, 2 * w)
        self.up2, self.up1 = TimeBlock(4 * w, w), TimeBlock(2 * w, w)
        self.norm, self.out = nn.GroupNorm(4, w), nn.Conv2d(w, 3, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        frequencies = torch.exp(torch.linspace(0, -6, 16))
        angle = t[:, None] * 1000 * frequencies
        emb = self.embed(torch.cat([angle.sin(), angle.cos()], -1))
        a = self.down1(self.stem(x), emb)
        b = self.down2(F.avg_pool2d(a, 2), emb)
        c = self.middle(b, emb)
        c = F.interpolate(self.up2(torch.cat([c, b], 1), emb), scale_factor=2)
        return self.out(F.silu(self.norm(self.up1(torch.cat([c, a], 1), emb))))


def _denoise(model: nn.Module, batch: Batch) -> Outcome:
    x = batch.args[0]
    t, noise = torch.rand(len(x)), torch.randn_like(x)
    level = torch.cos(t * math.pi / 2)[:, None, None, None]
    output = model(level * x + (1 - level**2).sqrt() * noise, t)
    return Outcome(loss=F.mse_loss(output, noise), output=output, target=noise)


class ResidualSR(nn.Module):
    """EDSR: residual blocks without norm, scaled by 0.1, then pixel shuffle."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.head, self.tail = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 12, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(True), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(8)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = h = self.head(x)
        for block in self.blocks:
            h = h + 0.1 * block(h)
        return F.avg_pool2d(F.pixel_shuffle(self.tail(h + x), 2), 2)


def dncnn(depth: int = 10) -> nn.Module:
    """Denoiser: a plain chain of convolution, BatchNorm, ReLU."""
    layers: list[nn.Module] = [nn.Conv2d(3, 24, 3, padding=1), nn.ReLU(inplace=True)]
    for _ in range(depth - 2):
        layers += [nn.Conv2d(24, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(24, 3, 3, padding=1))


CASES: tuple[Case, ...] = (
    healthy("unet", "image-to-image", UNet, masks(), CLASSIFY, mechanism="3,10"),
    healthy("unet-no-norm", "image-to-image", lambda: UNet(norm=False), masks(), CLASSIFY, mechanism="10"),
    healthy("autoencoder", "image-to-image", conv_autoencoder, image_pairs(), REGRESS),
    healthy("edsr", "image-to-image", ResidualSR, image_pairs(), REGRESS),
    healthy("dncnn", "image-to-image", dncnn, image_pairs(), REGRESS),
    healthy("vae", "generative", VAE, values(), custom(_elbo, "elbo")),
    healthy("vq-vae", "generative", VectorQuantised, images(), custom(_quantised, "vq_loss"), mechanism="8"),
    healthy("real-nvp", "generative", RealNVP, values(features=8), custom(_likelihood, "nll"), mechanism="1"),
    healthy("diffusion-unet", "generative", DiffusionUNet, images(8, size=16), custom(_denoise, "ddpm"), mechanism="1"),
)
