"""What flows into and out of the units of a weight: its pieces (gates, groups), their fan-in, fan-out and orientation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a weight that is drawn as one matrix: rows [start, stop) of its first dimension.

    `fan_in` is the number of terms in the sum behind one output, `fan_out` the number of outputs that one input reaches.
    `transposed` says that the first dimension is the input.
    """

    start: int
    stop: int
    fan_in: float
    fan_out: float
    transposed: bool = False


def pieces_of(module: nn.Module, weight: Tensor) -> list[Piece]:
    """Cut a weight into the matrices it holds, from the layer's type.

    Recurrent layers hold one matrix a gate, grouped convolutions one a group, attention holds query, key and value in
    one. A transposed convolution of stride s sums k/s kernel elements for an output in each dimension, not k.
    """
    rows, columns, field = weight.shape[0], weight.shape[1], math.prod(weight.shape[2:])
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return [Piece(0, rows, 1.0, columns)]  # one row is looked up
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        overlap = math.prod(max(1.0, k / s) for k, s in zip(module.kernel_size, module.stride, strict=True))
        each = rows // module.groups
        return _cut(rows, module.groups, each * overlap, columns * field, transposed=True)
    if isinstance(module, nn.modules.conv._ConvNd):
        return _cut(rows, module.groups, columns * field, rows // module.groups * field)
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        gates = max(1, rows // module.hidden_size)
        return _cut(rows, gates, columns, rows // gates)
    if isinstance(module, nn.MultiheadAttention) and rows == 3 * module.embed_dim:
        return _cut(rows, 3, columns, rows // 3)
    if type(module).__name__ == "Conv1D":  # of transformers: stores [in, out]
        return [Piece(0, rows, rows, columns, transposed=True)]
    return [Piece(0, rows, columns * field, rows * field)]


def _cut(rows: int, parts: int, fan_in: float, fan_out: float, *, transposed: bool = False) -> list[Piece]:
    size = rows // parts
    return [Piece(i * size, (i + 1) * size, fan_in, fan_out, transposed) for i in range(parts)]
