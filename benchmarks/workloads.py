"""The models whose probing is timed: sizes as people train them, random weights, random data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Objective, Outcome, Subject

KINDS = ("mlp50", "lstm", "resnet50", "gpt2")


@dataclass(frozen=True, slots=True)
class Workload:
    """A model, its one positional input, and the loss of its output."""

    name: str
    model: nn.Module
    x: Tensor
    loss: Callable[[Any], Tensor]

    def step(self) -> Tensor:
        """The plain forward and backward pass; gradients start at None."""
        self.model.zero_grad(set_to_none=True)
        loss = self.loss(self.model(self.x))
        loss.backward()
        return loss.detach()

    def subject(self) -> Subject:
        def compute(model: nn.Module, batch: Batch) -> Outcome:
            output = model(*batch.args)
            return Outcome(loss=self.loss(output), output=output)

        objective = Objective(name="loss", kind="other", origin="benchmark", compute=compute)
        batch = Batch(args=(self.x,))
        return Subject(model=self.model, batches=(batch,), objectives=(objective,), optimizer=None, sites={}, target=self.name)


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 convolutions with BatchNorm and in-place ReLU around a skip, as in ResNet-50."""

    def __init__(self, into: int, middle: int, stride: int) -> None:
        super().__init__()
        out = 4 * middle
        self.branch = nn.Sequential(
            nn.Conv2d(into, middle, 1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, middle, 3, stride, 1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or into != out:
            self.shortcut = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        y += self.shortcut(x)
        return self.relu(y)


def resnet50() -> nn.Sequential:
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    blocks, into = [], 64
    for middle, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for k in range(count):
            blocks.append(Bottleneck(into, middle, stride if k == 0 else 1))
            into = 4 * middle
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(into, 1000))


class Tagger(nn.Module):
    """Embedding → 2-layer LSTM → one class a token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(5000, 256), nn.LSTM(256, 256, 2, batch_first=True)
        self.head = nn.Linear(256, 50)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.rnn(self.embedding(tokens))[0])


def build(kind: str) -> Workload:
    """One of KINDS: 50 × (Linear 256, ReLU), LSTM on 16×64 tokens, ResNet-50 on 8×3×128×128, GPT-2 24×512 on 4×128."""
    torch.manual_seed(0)
    cross_entropy = nn.CrossEntropyLoss()
    if kind == "mlp50":
        hidden = [layer for _ in range(50) for layer in (nn.Linear(256, 256), nn.ReLU())]
        y = torch.randint(0, 10, (64,))
        return Workload(kind, nn.Sequential(*hidden, nn.Linear(256, 10)), torch.randn(64, 256), lambda o: cross_entropy(o, y))
    if kind == "lstm":
        y = torch.randint(0, 50, (16 * 64,))
        return Workload(kind, Tagger(), torch.randint(0, 5000, (16, 64)), lambda o: cross_entropy(o.reshape(-1, 50), y))
    if kind == "resnet50":
        y = torch.randint(0, 1000, (8,))
        return Workload(kind, resnet50(), torch.randn(8, 3, 128, 128), lambda o: cross_entropy(o, y))
    if kind != "gpt2":
        raise ValueError(f"unknown workload {kind!r}")
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=24, n_embd=512, n_head=8, n_positions=128, use_cache=False, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0
    )
    tokens = torch.randint(0, config.vocab_size, (4, 128))
    following = tokens[:, 1:].reshape(-1)
    return Workload(
        kind,
        GPT2LMHeadModel(config).train(),
        tokens,
        lambda o: cross_entropy(o.logits[:, :-1].reshape(-1, config.vocab_size), following),
    )


def chain(layers: int) -> Workload:
    """A plain chain of tiny layers, where the cost per layer shows."""
    torch.manual_seed(0)
    y = torch.randint(0, 8, (4,))
    model = nn.Sequential(*(nn.Linear(8, 8) for _ in range(layers)))
    return Workload(f"chain of {layers}", model, torch.randn(4, 8), lambda o: nn.functional.cross_entropy(o, y))
