"""Batches with something to learn in them: inputs of unit scale whose targets depend on them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from gradcheck_cli.loading.base import Batch
from zoo.cases import MakeBatch

_PROTOTYPE_SEED = 1234  # the task is the same for every batch and seed; only the samples differ


def _fixed(*shape: int) -> Tensor:
    """Draw a standard-normal tensor that belongs to the task, not to the sample."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(_PROTOTYPE_SEED))


def images(n: int = 16, channels: int = 3, size: int = 32, classes: int = 10) -> MakeBatch:
    """Images [N, C, H, W] of unit variance: a smooth class template plus noise; target [N]."""

    def make() -> Batch:
        y = torch.randint(0, classes, (n,))
        template = F.interpolate(_fixed(classes, channels, 4, 4), size=(size, size), mode="bilinear")
        template = template / template.std()
        x = (template[y] + torch.randn(n, channels, size, size)) / math.sqrt(2)
        return Batch(args=(x,), target=y)

    return make


def image_pairs(n: int = 8, channels: int = 3, size: int = 32, out: int = 3) -> MakeBatch:
    """Images and images to make of them, both [N, C, H, W] of unit scale (blurred and mixed channels)."""

    def make() -> Batch:
        x = torch.randn(n, channels, size, size)
        smooth = F.avg_pool2d(x, 5, 1, 2) * 5
        y = torch.einsum("oc,nchw->nohw", _fixed(out, channels) / math.sqrt(channels), smooth)
        return Batch(args=(x,), target=y)

    return make


def masks(n: int = 8, channels: int = 3, size: int = 32, classes: int = 4) -> MakeBatch:
    """Images [N, C, H, W] and a class for each pixel [N, H, W]."""

    def make() -> Batch:
        x = torch.randn(n, channels, size, size)
        scores = torch.einsum("oc,nchw->nohw", _fixed(classes, channels), F.avg_pool2d(x, 5, 1, 2))
        return Batch(args=(x,), target=scores.argmax(1))

    return make


def vectors(n: int = 64, features: int = 32, classes: int = 10) -> MakeBatch:
    """Standard-normal vectors [N, D] around class centres; target [N]."""

    def make() -> Batch:
        y = torch.randint(0, classes, (n,))
        x = (_fixed(classes, features)[y] + torch.randn(n, features)) / math.sqrt(2)
        return Batch(args=(x,), target=y)

    return make


def values(n: int = 64, features: int = 32, outputs: int = 1, scale: float = 1.0, shift: float = 0.0) -> MakeBatch:
    """Standard-normal vectors [N, D] and a smooth function of them [N, outputs] with the given scale and shift."""

    def make() -> Batch:
        x = torch.randn(n, features)
        y = torch.sin(x @ _fixed(features, outputs) / math.sqrt(features) * 2) * 1.4
        return Batch(args=(x,), target=y * scale + shift)

    return make


def flags(n: int = 64, features: int = 32, outputs: int = 1) -> MakeBatch:
    """Standard-normal vectors [N, D] and 0/1 targets [N, outputs]."""

    def make() -> Batch:
        x = torch.randn(n, features)
        return Batch(args=(x,), target=(x @ _fixed(features, outputs) > 0).float())

    return make


def _token_ids(n: int, steps: int, vocabulary: int) -> Tensor:
    """Token ids whose frequencies fall as 1/rank, as in text; id 0 is kept for padding."""
    weights = 1 / torch.arange(1, vocabulary, dtype=torch.float)
    return 1 + torch.multinomial(weights, n * steps, replacement=True).view(n, steps)


def next_tokens(n: int = 8, steps: int = 32, vocabulary: int = 200) -> MakeBatch:
    """Token ids [N, T] and the ids that follow them [N, T]."""

    def make() -> Batch:
        ids = _token_ids(n, steps + 1, vocabulary)
        ids[:, 1::2] = (ids[:, :-1:2] * 7 + 3) % vocabulary  # every second token follows from the one before
        return Batch(args=(ids[:, :-1],), target=ids[:, 1:])

    return make


def tagged_tokens(n: int = 8, steps: int = 32, vocabulary: int = 200, classes: int = 5) -> MakeBatch:
    """Token ids [N, T] and a class for each [N, T]."""

    def make() -> Batch:
        ids = _token_ids(n, steps, vocabulary)
        return Batch(args=(ids,), target=(ids + ids.roll(1, 1)) % classes)

    return make


def labelled_tokens(n: int = 16, steps: int = 32, vocabulary: int = 200, classes: int = 5) -> MakeBatch:
    """Token ids [N, T] and a class for each sequence [N]."""

    def make() -> Batch:
        ids = _token_ids(n, steps, vocabulary)
        return Batch(args=(ids,), target=ids[:, -1] % classes)

    return make


def token_pairs(n: int = 8, steps: int = 16, vocabulary: int = 120) -> MakeBatch:
    """Source ids [N, T], shifted target ids [N, T], and the target ids [N, T] (the source reversed)."""

    def make() -> Batch:
        source = _token_ids(n, steps, vocabulary)
        target = source.flip(1)
        shifted = torch.cat([torch.zeros_like(target[:, :1]), target[:, :-1]], 1)
        return Batch(args=(source, shifted), target=target)

    return make


def signals(n: int = 8, steps: int = 64, channels: int = 8, classes: int = 5) -> MakeBatch:
    """Noisy waves [N, T, C] of a frequency that is their class; target [N]."""

    def make() -> Batch:
        y = torch.randint(0, classes, (n,))
        time = torch.linspace(0, 2 * math.pi, steps)
        phase = torch.rand(n, 1, channels) * 6
        x = torch.sin((y + 1).view(n, 1, 1) * time.view(1, steps, 1) + phase) + 0.7 * torch.randn(n, steps, channels)
        return Batch(args=(x,), target=y)

    return make


def forecasts(n: int = 8, steps: int = 64, channels: int = 1) -> MakeBatch:
    """Noisy waves [N, T, C] and the value that follows each step [N, T, C]."""

    def make() -> Batch:
        time = torch.linspace(0, 20, steps + 1).view(1, -1, 1)
        wave = torch.sin(time * (0.5 + torch.rand(n, 1, channels)) + torch.rand(n, 1, channels) * 6) * 1.4
        wave = wave + 0.1 * torch.randn_like(wave)
        return Batch(args=(wave[:, :-1],), target=wave[:, 1:])

    return make
