"""Sick in their parts: dead and saturated units, symmetry, cut graphs, attention, lost samples, numbers that break."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.batches import images, next_tokens, values, vectors
from zoo.cases import CLASSIFY, PER_TOKEN, REGRESS, Case, sick
from zoo.healthy_attention import ViT
from zoo.healthy_graphs import graph
from zoo.healthy_language import GPT
from zoo.sick_depth import chain, conv_chain, gain


def changed(model: Callable[[], nn.Module], change: Callable[[nn.Module], object]) -> Callable[[], nn.Module]:
    """Build a model, then change it in place."""

    def make() -> nn.Module:
        net = model()
        with torch.no_grad():
            change(net)
        return net

    return make


def biases(value: float) -> Callable[[nn.Module], None]:
    """Set the biases of all hidden linear layers and convolutions."""

    def change(net: nn.Module) -> None:
        layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        for layer in layers[:-1]:
            layer.bias.fill_(value)

    return change


def constant(value: float) -> Callable[[nn.Module], None]:
    """Set every weight to one value and every bias to zero."""

    def change(net: nn.Module) -> None:
        for p in net.parameters():
            p.fill_(value if p.dim() > 1 else 0.0)

    return change


class Cut(nn.Module):
    """Trunk and head, with something between them that no gradient passes."""

    def __init__(self, cut: Callable[[Tensor], Tensor]):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head, self.cut = nn.Linear(64, 10), cut

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cut(self.trunk(x)))


class CutBranch(nn.Module):
    """Two branches are added; the larger one runs under no_grad."""

    def __init__(self):
        super().__init__()
        self.small, self.large = nn.Linear(32, 16), nn.Sequential(nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            side = self.large(x)
        return self.head(torch.relu(self.small(x) + side))


class HardChoice(nn.Module):
    """Picks one of four codes by argmax: the encoder in front of it learns nothing."""

    def __init__(self):
        super().__init__()
        self.encoder, self.codes = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 16)), nn.Embedding(16, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.codes(self.encoder(x).argmax(-1)))


class Ignores(nn.Module):
    """Overwrites its input before it is used."""

    def __init__(self, change: Callable[[Tensor], Tensor]):
        super().__init__()
        self.body, self.change = chain(3, nn.ReLU), change

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.change(x))


class Broken(nn.Module):
    """A healthy network with one operation in the middle that breaks numbers.

    The ReLU in front is written as a product: its zeros times an infinite derivative are NaN (torch.relu would discard it).
    """

    def __init__(self, operation: Callable[[Tensor], Tensor]):
        super().__init__()
        self.first, self.second, self.operation = nn.Linear(32, 48), nn.Linear(48, 10), operation

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.second(self.operation(h * (h > 0)))


def _sharp_attention(net: nn.Module) -> None:
    """Multiply query and key projections so that the softmax is saturated from the start."""
    for block in net.blocks:
        dim = block.attn.qkv.in_features
        block.attn.qkv.weight[: 2 * dim].mul_(60.0)


class AttentionOnly(nn.Module):
    """Attention layers without skips or norms: tokens and samples become alike (Dong 2021)."""

    def __init__(self, depth: int, dim: int = 32):
        super().__init__()
        self.inp, self.head = nn.Linear(32, dim), nn.Linear(dim, 10)
        self.layers = nn.ModuleList(nn.MultiheadAttention(dim, 4, batch_first=True) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)[None]  # the samples are the tokens of one sequence
        for layer in self.layers:
            x = layer(x, x, x, need_weights=False)[0]
        return self.head(x[0])


class Averaging(nn.Module):
    """A deep graph network that averages neighbours: oversmoothing (Li 2018)."""

    def __init__(self, depth: int, width: int = 32):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(16 if i == 0 else width, width) for i in range(depth))
        self.head = nn.Linear(width, 4)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        mean = adjacency / adjacency.sum(1, keepdim=True)
        for layer in self.layers:
            x = F.relu(mean @ layer(x))
        return self.head(x)


def _post_norm_bad(net: nn.Module) -> None:
    """Post-norm blocks whose branches start a hundred times too large: the skip is drowned, each norm divides it away."""
    for block in net.blocks:
        for p in (block.attn.qkv.weight, block.attn.proj.weight, block.mlp[0].weight, block.mlp[2].weight):
            p.mul_(100.0)


_X, _IMAGES, _LM = vectors(), images(), next_tokens()
_HE = gain(2**0.5)
_WAKE = ("GC101", "GC105", "GC203", "GC205", "GC405")


def _case(
    name: str, what: str, model: Callable[[], nn.Module], expect: str, also: tuple[str, ...] = (), batch=_X, loss=CLASSIFY
) -> Case:
    return sick(name, "sick-parts", what, model, batch, loss, expect=expect.split(), also=also)


CASES: tuple[Case, ...] = (
    _case("dying-relu-mlp", "biases -6", changed(lambda: chain(4, nn.ReLU, _HE), biases(-6.0)), "GC201", _WAKE),
    _case("dying-relu-mlp-partly", "biases -3", changed(lambda: chain(4, nn.ReLU, _HE), biases(-3.0)), "GC201", _WAKE),
    _case("dying-relu-cnn", "biases -8", changed(lambda: conv_chain(5, nn.ReLU, _HE), biases(-8.0)), "GC201", _WAKE, _IMAGES),
    _case("dying-relu6", "biases -6", changed(lambda: chain(3, nn.ReLU6, _HE), biases(-6.0)), "GC201", _WAKE),
    _case("saturated-tanh-3", "tanh, gain 20", lambda: chain(3, nn.Tanh, gain(20.0)), "GC202", ("GC301", "GC602", "GC102")),
    _case("saturated-tanh-6", "tanh, gain 12", lambda: chain(6, nn.Tanh, gain(12.0)), "GC202 GC102", ("GC301", "GC602")),
    _case("saturated-sigmoid-3", "sigmoid, gain 60", lambda: chain(3, nn.Sigmoid, gain(60.0)), "GC202",
          ("GC301", "GC602", "GC101")),
    _case("saturated-tanh-biases", "tanh, biases 5", changed(lambda: chain(3, nn.Tanh), biases(5.0)), "GC202 GC101",
          (*_WAKE, "GC301")),
    _case("saturated-hardtanh-4", "hard tanh, gain 20", lambda: chain(4, nn.Hardtanh, gain(20.0)), "GC202",
          ("GC301", "GC602", "GC102")),
    _case("constant-mlp", "all weights 0.05", changed(lambda: chain(3, nn.ReLU), constant(0.05)), "GC302", ("GC203",)),
    _case("constant-tanh", "all weights 0.1", changed(lambda: chain(2, nn.Tanh), constant(0.1)), "GC302", ("GC202", "GC203")),
    _case("zero-mlp", "all weights zero", changed(lambda: chain(3, nn.ReLU), constant(0.0)), "GC302 GC405", (*_WAKE, "GC201")),
    _case("constant-cnn", "all kernels 0.02", changed(lambda: conv_chain(3, nn.ReLU), constant(0.02)), "GC302", ("GC203",),
          _IMAGES),
    _case("detached-trunk", ".detach() before the head", lambda: Cut(Tensor.detach), "GC401"),
    _case("numpy-detour", "through numpy and back", lambda: Cut(lambda h: torch.from_numpy(h.detach().numpy())), "GC401"),
    _case("rounded-trunk", "torch.round: gradient zero", lambda: Cut(torch.round), "GC105 GC401 GC403"),
    _case("no-grad-branch", "the large branch under no_grad", CutBranch, "GC401"),
    _case("argmax-choice", "argmax between encoder and codes", HardChoice, "GC401"),
    _case("input-zeroed", "multiplied by zero", lambda: Ignores(lambda x: x * 0), "GC405", ("GC203",)),
    _case("input-overwritten", "replaced by ones", lambda: Ignores(torch.ones_like), "GC405", ("GC203",)),
    _case("linear-linear", "no activation", lambda: nn.Sequential(nn.Linear(32, 64), nn.Linear(64, 64), nn.Linear(64, 10)),
          "GC406"),
    _case("linear-linear-mixed", "one activation forgotten",
          lambda: nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.Linear(64, 64), nn.ReLU(),
                                nn.Linear(64, 10)), "GC406"),
    _case("linear-dropout-linear", "dropout is no activation",
          lambda: nn.Sequential(nn.Linear(32, 64), nn.Dropout(0.2), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10)), "GC406"),
    _case("log-of-negative", "log of values below zero", lambda: Broken(lambda h: torch.log(h - 0.1)), "GC501"),
    _case("division-by-zero", "0/0 behind a ReLU", lambda: Broken(lambda h: h / h), "GC501"),
    _case("exp-overflow", "exp of values above 88", lambda: Broken(lambda h: torch.exp(h * 200) - torch.exp(h * 200 + 1)),
          "GC501"),
    _case("weight-nan", "a weight holds NaN", changed(lambda: chain(3, nn.ReLU), lambda net: net[2].weight[0].fill_(math.nan)),
          "GC501"),
    _case("sqrt-at-zero", "derivative of sqrt at 0", lambda: Broken(torch.sqrt), "GC502"),
    _case("where-trap", "where(h > 0, log(h), 0)", lambda: Broken(lambda h: torch.where(h > 0, torch.log(h), h * 0)),
          "GC502 GC501"),
    _case("norm-at-zero", "norm of a zero vector",
          lambda: Broken(lambda h: h / (1 + (h[:, :1] * 0).pow(2).sum(-1, True).sqrt())), "GC502"),
    _case("attention-saturated-gpt", "query and key 60 times too large", changed(GPT, _sharp_attention), "GC105 GC301 GC202",
          batch=_LM, loss=PER_TOKEN),
    _case("attention-saturated-vit", "query and key 60 times too large", changed(lambda: ViT("mean"), _sharp_attention),
          "GC105 GC301 GC202", batch=_IMAGES),
    _case("attention-only-12", "attention without skips", lambda: AttentionOnly(12), "GC203 GC101",
          ("GC205", "GC406", "GC105")),
    _case("attention-only-24", "attention without skips", lambda: AttentionOnly(24), "GC203 GC101",
          ("GC205", "GC406", "GC105")),
    _case("oversmoothing-40", "neighbours averaged forty times", lambda: Averaging(40), "GC203 GC101", ("GC205", "GC105"),
          graph(edges=4.0)),
    _case("gpt-post-norm-large-branches-12", "post-norm, branches a hundred times too large",
          changed(lambda: GPT(depth=12, post_norm=True), _post_norm_bad), "GC102 GC301", ("GC105",), _LM, PER_TOKEN),
    _case("regression-dead-output", "ReLU output that is off",
          changed(lambda: nn.Sequential(chain(2, nn.ReLU), nn.ReLU(), nn.Linear(10, 1), nn.ReLU()),
          lambda net: net[2].bias.fill_(-9.0)),
          "GC201 GC403 GC405 GC606", batch=values(), loss=REGRESS),
)  # fmt: skip
