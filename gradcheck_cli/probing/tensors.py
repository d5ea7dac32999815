"""Find the tensors inside whatever a module returns or a batch holds."""

from __future__ import annotations

import collections
import dataclasses
import types
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_OPAQUE = (
    str,
    bytes,
    int,
    float,
    complex,
    bool,
    type,
    nn.Module,
    torch.dtype,
    torch.device,
    types.FunctionType,
    types.ModuleType,
)
_MAX_OBJECTS = 10_000
_MAX_DEPTH = 12


def tensors_in(obj: Any) -> Iterator[Tensor]:
    """Yield every tensor reachable in a nested structure, in a stable order.

    Iterative and guarded by identity, so cycles and deep nests end; iterators are never consumed and properties never called.
    """
    for _, tensor in named_tensors_in(obj):
        yield tensor


def named_tensors_in(obj: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield (path, tensor) pairs; the path joins keys, indices and field names with dots."""
    seen: set[int] = set()
    stack: list[tuple[str, Any, int]] = [(name, obj, 0)]
    for _ in range(_MAX_OBJECTS):
        if not stack:
            return
        path, x, depth = stack.pop()
        if isinstance(x, Tensor):
            yield path, x
            continue
        if x is None or isinstance(x, _OPAQUE) or depth > _MAX_DEPTH or id(x) in seen:
            continue
        seen.add(id(x))
        prefix = f"{path}." if path else ""
        stack.extend((f"{prefix}{k}", v, depth + 1) for k, v in reversed(_children(x)))


def _children(x: Any) -> list[tuple[Any, Any]]:
    if isinstance(x, Mapping):
        return list(x.items())
    if isinstance(x, (list, tuple, set, frozenset, collections.deque)):
        return list(enumerate(x))
    if dataclasses.is_dataclass(x):
        return [(f.name, getattr(x, f.name, None)) for f in dataclasses.fields(x)]
    if hasattr(x, "__dict__"):
        return list(vars(x).items())
    return [(s, getattr(x, s, None)) for s in getattr(type(x), "__slots__", ())]
