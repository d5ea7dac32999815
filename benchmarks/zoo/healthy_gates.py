"""Healthy networks whose parts start shut: zero gates in one, two and three stages, and frozen trunks behind them."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Outcome
from zoo.batches import image_pairs, images, next_tokens
from zoo.cases import CLASSIFY, PER_TOKEN, REGRESS, Case, custom, healthy
from zoo.healthy_attention import Attention
from zoo.healthy_language import GPT


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


CASES: tuple[Case, ...] = (
    healthy("dit-adaln-zero", "trap", DiT, images(8, size=16), custom(_denoise, "denoising"), mechanism="1"),
    healthy("controlnet", "trap", Controlled, image_pairs(), REGRESS, mechanism="1"),
    healthy("cellular-automaton", "trap", Automaton, image_pairs(8, size=16), REGRESS, mechanism="1,12"),
    healthy("prompt-tuning", "trap", PromptTuned, next_tokens(), PER_TOKEN),
    healthy("norm-free", "trap", normfree, images(), CLASSIFY, mechanism="1"),
)
