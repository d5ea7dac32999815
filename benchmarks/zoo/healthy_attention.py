"""Healthy vision transformers and other networks that mix tokens of an image."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.batches import images
from zoo.cases import CLASSIFY, Case, healthy


def vit_init(module: nn.Module) -> None:
    """Truncated normal of standard deviation 0.02 and zero biases, as timm does."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Attention(nn.Module):
    """Multi-head self-attention with one fused qkv projection; `fused` uses PyTorch's kernel."""

    def __init__(self, dim: int, heads: int = 4, fused: bool = False):
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        else:
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            scores = scores if bias is None else scores + bias
            y = torch.softmax(scores, -1) @ v
        return self.proj(y.transpose(1, 2).reshape(n, t, d))


class DropPath(nn.Module):
    """Stochastic depth, one draw a sample."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = torch.rand(len(x), *[1] * (x.dim() - 1)) >= self.rate
        return x * keep / (1 - self.rate)


class Block(nn.Module):
    """Pre-norm attention and MLP, with optional layer scale and stochastic depth."""

    def __init__(self, dim: int, scale: float | None = None, drop: float = 0.0, fused: bool = False):
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(dim), Attention(dim, fused=fused), nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.drop = DropPath(drop)
        self.gamma1 = nn.Parameter(scale * torch.ones(dim)) if scale else None
        self.gamma2 = nn.Parameter(scale * torch.ones(dim)) if scale else None

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        y = self.attn(self.norm1(x), bias)
        x = x + self.drop(y if self.gamma1 is None else self.gamma1 * y)
        y = self.mlp(self.norm2(x))
        return x + self.drop(y if self.gamma2 is None else self.gamma2 * y)


class ViT(nn.Module):
    """Patch embedding, position table, blocks, and a head on the CLS token or on the mean of all tokens."""

    def __init__(self, pool: str = "cls", depth: int = 4, dim: int = 64, **block):
        super().__init__()
        self.patch = nn.Conv2d(3, dim, 8, 8)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim)) if pool == "cls" else None
        self.pos = nn.Parameter(torch.zeros(1, 16 + (pool == "cls"), dim))
        self.blocks = nn.ModuleList(Block(dim, **block) for _ in range(depth))
        self.norm, self.head, self.pool = nn.LayerNorm(dim), nn.Linear(dim, 10), pool
        nn.init.trunc_normal_(self.pos, std=0.02)
        self.apply(vit_init)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        if self.cls is not None:
            x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1)
        x = x + self.pos
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.head(x[:, 0] if self.pool == "cls" else x.mean(1))


class ClassAttentionBlock(nn.Module):
    """CaiT: only the class token attends, its update passes a small layer scale."""

    def __init__(self, dim: int, scale: float):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.q, self.k, self.v, self.proj = (nn.Linear(dim, dim) for _ in range(4))
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.gamma1, self.gamma2 = (nn.Parameter(scale * torch.ones(dim)) for _ in range(2))

    def forward(self, cls: Tensor, x: Tensor) -> Tensor:
        u = self.norm1(torch.cat([cls, x], 1))
        scores = self.q(u[:, :1]) @ self.k(u).transpose(1, 2) / math.sqrt(u.shape[-1])
        cls = cls + self.gamma1 * self.proj(torch.softmax(scores, -1) @ self.v(u))
        return cls + self.gamma2 * self.mlp(self.norm2(cls))


class CaiT(nn.Module):
    """Trunk without class token, then two class-attention blocks; every branch has layer scale."""

    def __init__(self, dim: int = 64, scale: float = 1e-5):
        super().__init__()
        self.patch, self.pos = nn.Conv2d(3, dim, 8, 8), nn.Parameter(torch.zeros(1, 16, dim))
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.trunk = nn.ModuleList(Block(dim, scale) for _ in range(4))
        self.heads = nn.ModuleList(ClassAttentionBlock(dim, scale) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 10)
        for token in (self.cls, self.pos):
            nn.init.trunc_normal_(token, std=0.02)
        self.apply(vit_init)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2) + self.pos
        for block in self.trunk:
            x = block(x)
        cls = self.cls.expand(len(x), -1, -1)
        for head in self.heads:
            cls = head(cls, x)
        return self.head(self.norm(cls[:, 0]))


class Swin(nn.Module):
    """Two stages of (shifted) window attention with relative-position bias and patch merging."""

    def __init__(self, dim: int = 32, window: int = 4):
        super().__init__()
        self.patch, self.window = nn.Conv2d(3, dim, 2, 2), window
        self.stages = nn.ModuleList(nn.ModuleList(Block(d) for _ in range(2)) for d in (dim, 2 * dim))
        self.bias = nn.ParameterList(nn.Parameter(torch.zeros(4, (2 * window - 1) ** 2)) for _ in range(4))
        self.merge = nn.Sequential(nn.LayerNorm(4 * dim), nn.Linear(4 * dim, 2 * dim, bias=False))
        self.norm, self.head = nn.LayerNorm(2 * dim), nn.Linear(2 * dim, 10)
        axis = torch.arange(window)
        y, x = (g.flatten() for g in torch.meshgrid(axis, axis, indexing="ij"))
        index = (y[:, None] - y + window - 1) * (2 * window - 1) + x[:, None] - x + window - 1
        self.register_buffer("index", index)
        for table in self.bias:
            nn.init.trunc_normal_(table, std=0.02)
        self.apply(vit_init)

    def windows(self, x: Tensor, block: nn.Module, bias: Tensor, shift: int) -> Tensor:
        """Run a block inside the windows of a shifted grid [N, H, W, C]."""
        n, h, w, c = x.shape
        s = self.window
        x = x.roll((-shift, -shift), (1, 2))
        x = x.view(n, h // s, s, w // s, s, c).transpose(2, 3).reshape(-1, s * s, c)
        x = block(x, bias)
        x = x.view(n, h // s, w // s, s, s, c).transpose(2, 3).reshape(n, h, w, c)
        return x.roll((shift, shift), (1, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, 2, 3, 1)
        for i, stage in enumerate(self.stages):
            if i:
                n, h, w, c = x.shape
                x = x.view(n, h // 2, 2, w // 2, 2, c).transpose(2, 3).reshape(n, h // 2, w // 2, 4 * c)
                x = self.merge(x)
            for j, block in enumerate(stage):
                x = self.windows(x, block, self.bias[2 * i + j][:, self.index], (self.window // 2) * j)
        return self.head(self.norm(x).mean((1, 2)))


class TokenMLP(nn.Module):
    """MLP-Mixer block: an MLP over tokens, then one over channels."""

    def __init__(self, tokens: int, dim: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.tokens = nn.Sequential(nn.Linear(tokens, 2 * tokens), nn.GELU(), nn.Linear(2 * tokens, tokens))
        self.channels = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class SpatialGatingBlock(nn.Module):
    """gMLP block: the gate's weight starts near zero and its bias at one."""

    def __init__(self, tokens: int, dim: int):
        super().__init__()
        self.norm, self.inp, self.out = nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.Linear(2 * dim, dim)
        self.gate_norm, self.gate = nn.LayerNorm(2 * dim), nn.Linear(tokens, tokens)
        nn.init.normal_(self.gate.weight, std=1e-6)
        nn.init.ones_(self.gate.bias)

    def forward(self, x: Tensor) -> Tensor:
        u, v = F.gelu(self.inp(self.norm(x))).chunk(2, -1)
        v = self.gate(self.gate_norm(v).transpose(1, 2)).transpose(1, 2)
        return x + self.out(u * v)


def patch_mlp(block: type[nn.Module], depth: int = 4, dim: int = 48) -> nn.Module:
    """Patch stem, blocks over 16 tokens, mean pooling."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, dim, 8, 8)
            self.blocks = nn.Sequential(*[block(16, dim) for _ in range(depth)])
            self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.blocks(self.patch(x).flatten(2).transpose(1, 2))
            return self.head(self.norm(x).mean(1))

    return Net()


_X = images()
CASES: tuple[Case, ...] = (
    healthy("vit-cls", "vision-transformer", ViT, _X, CLASSIFY, mechanism="3,4,11"),
    healthy("vit-mean", "vision-transformer", lambda: ViT("mean"), _X, CLASSIFY, mechanism="3,4"),
    healthy("vit-fused-12", "vision-transformer", lambda: ViT(depth=12, fused=True), _X, CLASSIFY, mechanism="3,4,11"),
    healthy("deit-layer-scale", "vision-transformer", lambda: ViT(scale=1e-4), _X, CLASSIFY, mechanism="2,3,4,11"),
    healthy("vit-layer-scale-1e-6", "vision-transformer", lambda: ViT(scale=1e-6), _X, CLASSIFY, mechanism="2,4,11"),
    healthy("vit-drop-path", "vision-transformer", lambda: ViT(drop=0.3), images(2), CLASSIFY, mechanism="6,7,11"),
    healthy("cait", "vision-transformer", CaiT, _X, CLASSIFY, mechanism="2,4,11"),
    healthy("swin", "vision-transformer", Swin, images(8), CLASSIFY, mechanism="4"),
    healthy("mlp-mixer", "vision-transformer", lambda: patch_mlp(TokenMLP), _X, CLASSIFY),
    healthy("gmlp", "vision-transformer", lambda: patch_mlp(SpatialGatingBlock), _X, CLASSIFY),
)
