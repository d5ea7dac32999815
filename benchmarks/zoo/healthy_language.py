"""Healthy language models and other sequence transformers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from zoo.batches import labelled_tokens, next_tokens, tagged_tokens, token_pairs
from zoo.cases import CLASSIFY, PER_TOKEN, Case, healthy
from zoo.healthy_attention import Block


def gpt_init(module: nn.Module) -> None:
    """Normal weights of standard deviation 0.02 and zero biases."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class GPT(nn.Module):
    """Decoder-only transformer; `tied` shares embedding and head, `recompute` checkpoints each block."""

    def __init__(
        self, vocabulary: int = 200, dim: int = 64, depth: int = 4, tied: bool = True, recompute: bool = False,
        shared: bool = False, post_norm: bool = False, survival: float = 1.0,
    ):  # fmt: skip
        super().__init__()
        self.tok, self.pos = nn.Embedding(vocabulary, dim), nn.Embedding(64, dim)
        blocks = [PostNormBlock(dim) if post_norm else Block(dim) for _ in range(1 if shared else depth)]
        self.blocks, self.depth = nn.ModuleList(blocks), depth
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, vocabulary, bias=False)
        self.recompute, self.survival = recompute, survival
        self.apply(gpt_init)
        if tied:
            self.head.weight = self.tok.weight

    def forward(self, ids: Tensor) -> Tensor:
        steps = ids.shape[1]
        x = self.tok(ids) + self.pos(torch.arange(steps))
        mask = torch.full((steps, steps), float("-inf")).triu(1)
        for i in range(self.depth):
            block = self.blocks[i % len(self.blocks)]
            if self.training and self.survival < 1 and torch.rand(()) > self.survival:
                continue  # LayerDrop
            x = checkpoint(block, x, mask, use_reentrant=False) if self.recompute else block(x, mask)
        return self.head(self.norm(x))


class PostNormBlock(Block):
    """Normalises after the addition, as the 2017 paper does."""

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        x = self.norm1(x + self.attn(x, bias))
        return self.norm2(x + self.mlp(x))


class BERT(nn.Module):
    """Encoder with segment embeddings and a pooler that a token loss leaves idle."""

    def __init__(self, classes: int, pooled: bool, vocabulary: int = 200, dim: int = 64, depth: int = 4):
        super().__init__()
        self.tok, self.pos, self.seg = nn.Embedding(vocabulary, dim), nn.Embedding(64, dim), nn.Embedding(2, dim)
        self.norm, self.pooled = nn.LayerNorm(dim, eps=1e-12), pooled
        self.blocks = nn.ModuleList(PostNormBlock(dim) for _ in range(depth))
        self.pooler, self.head, self.dropout = nn.Linear(dim, dim), nn.Linear(dim, classes), nn.Dropout(0.1)
        self.apply(gpt_init)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tok(ids) + self.pos(torch.arange(ids.shape[1])) + self.seg(torch.zeros_like(ids))
        x = self.dropout(self.norm(x))
        for block in self.blocks:
            x = block(x)
        first = torch.tanh(self.pooler(x[:, 0]))
        return self.head(self.dropout(first)) if self.pooled else self.head(x)


class Seq2Seq(nn.Module):
    """nn.Transformer with embeddings scaled by √d, as the PyTorch tutorial builds it."""

    def __init__(self, vocabulary: int = 120, dim: int = 64, norm_first: bool = False):
        super().__init__()
        self.source, self.target = nn.Embedding(vocabulary, dim), nn.Embedding(vocabulary, dim)
        self.pos = nn.Parameter(torch.randn(1, 32, dim) * 0.02)
        self.core = nn.Transformer(dim, 4, 3, 3, 128, 0.1, batch_first=True, norm_first=norm_first)
        self.head = nn.Linear(dim, vocabulary)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        scale = math.sqrt(self.head.in_features)
        a = self.source(source) * scale + self.pos[:, : source.shape[1]]
        b = self.target(target) * scale + self.pos[:, : target.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        return self.head(self.core(a, b, tgt_mask=mask))


class LinearAttention(nn.Module):
    """Non-causal attention with a positive feature map instead of softmax (Katharopoulos 2020)."""

    def __init__(self, dim: int, heads: int = 4):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        context = k.transpose(-2, -1) @ v
        y = (q @ context) / (q @ k.sum(-2, keepdim=True).transpose(-2, -1) + 1e-6)
        return self.proj(y.transpose(1, 2).reshape(n, t, d))


class StateSpace(nn.Module):
    """Mamba-like selective state space: input-dependent step, diagonal A, gate; scanned step by step."""

    def __init__(self, dim: int, state: int = 8):
        super().__init__()
        self.inp, self.out = nn.Linear(dim, 2 * dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.conv = nn.Conv1d(dim, dim, 4, padding=3, groups=dim)
        self.select, self.dt = nn.Linear(dim, 2 * state + 4, bias=False), nn.Linear(4, dim)
        self.log_a = nn.Parameter(torch.log(torch.arange(1, state + 1).float()).repeat(dim, 1))
        self.skip, self.state = nn.Parameter(torch.ones(dim)), state
        step = torch.exp(torch.rand(dim) * (math.log(0.1) - math.log(0.001)) + math.log(0.001))
        self.dt.bias.data = step + torch.log(-torch.expm1(-step))

    def forward(self, x: Tensor) -> Tensor:
        u, gate = self.inp(x).chunk(2, -1)
        u = F.silu(self.conv(u.transpose(1, 2))[..., : u.shape[1]].transpose(1, 2))
        b, c, low = self.select(u).split([self.state, self.state, 4], -1)
        dt = F.softplus(self.dt(low))
        decay = torch.exp(dt[..., None] * -torch.exp(self.log_a))
        drive = (dt * u)[..., None] * b[:, :, None]
        h, out = torch.zeros_like(drive[:, 0]), []
        for t in range(x.shape[1]):
            h = decay[:, t] * h + drive[:, t]
            out.append((h * c[:, t, None]).sum(-1))
        return self.out((torch.stack(out, 1) + self.skip * u) * F.silu(gate))


class TimeMix(nn.Module):
    """RWKV-like mixing: an exponentially decaying average of values weighted by keys, gated by receptance."""

    def __init__(self, dim: int):
        super().__init__()
        self.r, self.k, self.v, self.out = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.mix = nn.Parameter(torch.linspace(0, 1, dim))
        self.decay, self.first = nn.Parameter(torch.linspace(-5, 1, dim)), nn.Parameter(torch.full((dim,), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.lerp(F.pad(x, (0, 0, 1, -1)), x, self.mix)
        k, v, r = self.k(mixed), self.v(mixed), torch.sigmoid(self.r(mixed))
        top = bottom = torch.zeros_like(v[:, 0])
        fade, out = torch.exp(-torch.exp(self.decay)), []
        for t in range(x.shape[1]):
            now = torch.exp(k[:, t] + self.first)
            out.append((top + now * v[:, t]) / (bottom + now))
            top, bottom = fade * top + torch.exp(k[:, t]) * v[:, t], fade * bottom + torch.exp(k[:, t])
        return self.out(r * torch.stack(out, 1))


class MixedExperts(nn.Module):
    """Four experts, each token goes to its two best; the router gets its gradient through the gate values."""

    def __init__(self, dim: int, experts: int = 4, chosen: int = 2):
        super().__init__()
        self.router, self.chosen = nn.Linear(dim, experts, bias=False), chosen
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, dim)) for _ in range(experts)
        )

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        weight, index = torch.softmax(self.router(flat), -1).topk(self.chosen, -1)
        weight, out = weight / weight.sum(-1, keepdim=True), torch.zeros_like(flat)
        for i, expert in enumerate(self.experts):
            token, slot = (index == i).nonzero(as_tuple=True)
            out = out.index_add(0, token, expert(flat[token]) * weight[token, slot, None])
        return out.view_as(x)


class Mixer(nn.Module):
    """Residual stack of any token mixers, pre-norm, with a head for each token."""

    def __init__(self, make, out: int = 200, vocabulary: int = 200, dim: int = 48, depth: int = 3):
        super().__init__()
        self.tok = nn.Embedding(vocabulary, dim)
        self.norms, self.mixers = nn.ModuleList(), nn.ModuleList()
        for _ in range(depth):
            self.norms.append(nn.LayerNorm(dim))
            self.mixers.append(make(dim))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, out)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tok(ids)
        for norm, mixer in zip(self.norms, self.mixers, strict=True):
            x = x + mixer(norm(x))
        return self.head(self.norm(x))


class Perceiver(nn.Module):
    """A few latents read the tokens by cross-attention, then think among themselves."""

    def __init__(self, dim: int = 48, latents: int = 8):
        super().__init__()
        self.tok, self.pos = nn.Embedding(200, dim), nn.Parameter(torch.randn(64, dim) * 0.02)
        self.latents = nn.Parameter(torch.randn(latents, dim) * 0.02)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.read = nn.MultiheadAttention(dim, 1, batch_first=True)
        self.think, self.head = nn.ModuleList(Block(dim) for _ in range(3)), nn.Linear(dim, 5)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.norm1(self.tok(ids) + self.pos[: ids.shape[1]])
        z = self.latents.expand(len(ids), -1, -1)
        z = z + self.read(self.norm2(z), x, x, need_weights=False)[0]
        for block in self.think:
            z = block(z)
        return self.head(z.mean(1))


_LM, _TAGS, _LABELS = next_tokens(), tagged_tokens(), labelled_tokens()
CASES: tuple[Case, ...] = (
    healthy("gpt-tied", "language", GPT, _LM, PER_TOKEN, mechanism="3,4,8,12"),
    healthy("gpt-untied-large-vocabulary", "language", lambda: GPT(5000, tied=False), next_tokens(4, 32, 5000), PER_TOKEN,
            mechanism="8"),
    healthy("gpt-post-norm", "language", lambda: GPT(post_norm=True), _LM, PER_TOKEN, mechanism="4"),
    healthy("gpt-checkpointed", "language", lambda: GPT(recompute=True), _LM, PER_TOKEN, mechanism="12"),
    healthy("universal-transformer", "language", lambda: GPT(shared=True, depth=6), _LM, PER_TOKEN, mechanism="12"),
    healthy("gpt-layer-drop", "language", lambda: GPT(survival=0.6), _LM, PER_TOKEN, mechanism="5,6"),
    healthy("bert-tagger", "language", lambda: BERT(5, False), _TAGS, PER_TOKEN, mechanism="5,8"),
    healthy("bert-classifier", "language", lambda: BERT(5, True), _LABELS, CLASSIFY, mechanism="4,11"),
    healthy("nn-transformer", "language", Seq2Seq, token_pairs(), PER_TOKEN, mechanism="3,10"),
    healthy("nn-transformer-pre-norm", "language", lambda: Seq2Seq(norm_first=True), token_pairs(), PER_TOKEN,
            mechanism="3,10"),
    healthy("linear-attention", "language", lambda: Mixer(LinearAttention, 5), _TAGS, PER_TOKEN, mechanism="4"),
    healthy("mamba-like", "language", lambda: Mixer(StateSpace), _LM, PER_TOKEN, mechanism="4"),
    healthy("rwkv-like", "language", lambda: Mixer(TimeMix), _LM, PER_TOKEN, mechanism="4"),
    healthy("mixture-of-experts", "language", lambda: Mixer(MixedExperts, 5), _TAGS, PER_TOKEN, mechanism="5"),
    healthy("perceiver", "language", Perceiver, _LABELS, CLASSIFY, mechanism="4"),
)  # fmt: skip
