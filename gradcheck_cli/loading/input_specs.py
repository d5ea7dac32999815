"""What a layer takes: read from the layer that receives the model's input first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

_SIZE_NAMES = ("image_size", "img_size", "input_size", "resolution")
_LENGTH_NAMES = (
    "block_size",
    "max_len",
    "max_length",
    "max_seq_len",
    "seq_len",
    "context_length",
    "n_ctx",
    "n_positions",
    "seq_length",
)
_SIZES = (32, 28, 64, 224, 16, 96, 128, 48, 8, 256, 84, 299, 227, 20, 24, 40, 12, 14, 10, 56, 112, 160, 192, 384, 512)
_LENGTHS = (64, 128, 100, 256, 32, 16, 500, 512, 1000, 1024, 187, 3000, 4096, 16000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """An input's kind, the name of the layer that says so, and the shapes to try, best first (without the batch dimension).

    `batch_first` is False for time-major sequences; `high` bounds integers.
    """

    kind: Literal["numbers", "integers", "booleans"]
    layer: str
    rows: int  # batch size of the final batch
    shapes: tuple[tuple[int, ...], ...]
    batch_dim: int = 0
    high: int = 0

    def make(self, shape: tuple[int, ...], rows: int, generator: torch.Generator) -> Tensor:
        """Standard normal numbers, or integers spread evenly over the range."""
        full = list(shape)
        full.insert(min(self.batch_dim, len(full)), rows)
        if self.kind == "integers":
            return torch.randint(0, max(self.high, 1), full, generator=generator)
        if self.kind == "booleans":
            return torch.ones(full, dtype=torch.bool)
        return torch.randn(full, generator=generator)


def spec_of(module: nn.Module, name: str, model: nn.Module) -> Spec | None:
    """The input of this layer, None for layers that take anything."""
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        length = _length(model)
        shapes = ((length,), (16,), (8,), (4,), (), (1,))
        return Spec(kind="integers", layer=name, rows=8, high=module.num_embeddings, shapes=shapes)
    if isinstance(module, nn.modules.conv._ConvNd):
        return _of_conv(module, name, model)
    if isinstance(module, nn.RNNBase):
        return _sequence(name, module.input_size, module.batch_first)
    if isinstance(module, nn.RNNCellBase):
        return _numbers(name, 32, [(module.input_size,)])
    if isinstance(module, nn.MultiheadAttention):
        return _sequence(name, module.embed_dim, module.batch_first)
    if isinstance(module, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
        return _sequence(name, module.self_attn.embed_dim, module.self_attn.batch_first)
    if isinstance(module, nn.Transformer):
        return _sequence(name, module.d_model, module.batch_first)
    if isinstance(module, nn.Linear) and module.in_features > 0:
        return _numbers(name, 32, _feature_shapes(module.in_features))
    if isinstance(module, nn.Bilinear):
        return _numbers(name, 32, [(module.in1_features,)])
    return _of_norm(module, name)


def _of_norm(module: nn.Module, name: str) -> Spec | None:
    if isinstance(module, nn.LayerNorm):
        shape = tuple(module.normalized_shape)
        return _numbers(name, 32, [shape, (16, *shape)])
    if isinstance(module, nn.modules.batchnorm._NormBase) and module.num_features > 0:
        channels = module.num_features
        tails: Iterable[tuple[int, ...]] = (
            ((32, 32),) if "2d" in type(module).__name__ else ((8, 16, 16),) if "3d" in type(module).__name__ else ((), (16,))
        )
        return _numbers(name, 32, [(channels, *tail) for tail in tails])
    if isinstance(module, nn.GroupNorm):
        return _numbers(name, 8, [(module.num_channels, 16, 16), (module.num_channels, 16), (module.num_channels,)])
    return None


def _numbers(name: str, rows: int, shapes: Iterable[tuple[int, ...]]) -> Spec:
    return Spec(kind="numbers", layer=name, rows=rows, shapes=tuple(dict.fromkeys(shapes)))


def _sequence(name: str, features: int, batch_first: bool, steps: int = 20) -> Spec:
    return Spec(kind="numbers", layer=name, rows=8, shapes=((steps, features), (features,)), batch_dim=0 if batch_first else 1)


def _feature_shapes(features: int) -> Iterator[tuple[int, ...]]:
    """Rows of features, sequences of them, then the images that flatten to so many."""
    yield (features,)
    yield (16, features)
    for channels in (1, 3):
        side = math.isqrt(features // channels)
        if features == channels * side * side:
            yield (channels, side, side)
    yield (4, 4, features)


def _of_conv(module: nn.modules.conv._ConvNd, name: str, model: nn.Module) -> Spec:
    channels = module.in_channels
    dimensions = len(module.kernel_size)
    if dimensions == 1:
        return _numbers(name, 8, [(channels, length) for length in _LENGTHS])
    if dimensions == 3:
        return _numbers(
            name,
            4,
            [(channels, *s) for s in ((16, 32, 32), (8, 16, 16), (16, 64, 64), (32, 32, 32), (16, 112, 112), (64, 64, 64))],
        )
    return _numbers(name, 8, [(channels, size, size) for size in _image_sizes(module, model)])


def _image_sizes(conv: nn.modules.conv._ConvNd, model: nn.Module) -> list[int]:
    """Sizes that the model names or its position table implies, then common ones that fit the first convolution."""
    kernel, stride = int(conv.kernel_size[-1]), int(conv.stride[-1])
    named = [int(v[0] if isinstance(v, (tuple, list)) else v) for v in attributes(model, _SIZE_NAMES)]
    implied: list[int] = []
    if kernel == stride and kernel > 1:
        for parameter in model.parameters():
            if parameter.dim() == 3 and parameter.shape[0] == 1:
                for tokens in (parameter.shape[1], parameter.shape[1] - 1):
                    side = math.isqrt(max(tokens, 0))
                    implied += [side * kernel] if side > 1 and side * side == tokens else []
    common = sorted(_SIZES, key=lambda s: s != 28) if conv.in_channels == 1 else list(_SIZES)
    if kernel >= 7 or stride >= 4:
        common = [s for s in common if s >= 64] + [s for s in common if s < 64]
    return [s for s in dict.fromkeys([*named, *implied, *common]) if s >= kernel]


def attributes(model: nn.Module, names: Iterable[str]) -> list[Any]:
    """Positive numbers, or sequences of them, under these names on the model, its config or its parts."""
    found = []
    for holder in (model, getattr(model, "config", None), getattr(model, "hparams", None), *model.children()):
        for name in names:
            value = getattr(holder, name, None)
            first = value[0] if isinstance(value, (tuple, list)) and value else value
            if isinstance(first, int) and not isinstance(first, bool) and first > 0:
                found.append(value)
    return found


def _length(model: nn.Module) -> int:
    """A sequence length within what the model says it can take, at most 32."""
    return min([32, *(int(v) for v in attributes(model, _LENGTH_NAMES) if isinstance(v, int))])
