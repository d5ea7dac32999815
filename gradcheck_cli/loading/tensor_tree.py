"""Walk and convert the nested structures that batches and outputs are made of."""

from __future__ import annotations

import copy
import dataclasses
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

_MOST = 10_000  # objects looked at, against structures without end


def map_tensors(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same structure with every tensor changed; what holds no tensor is passed on as it is."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, PackedSequence):
        return tree._replace(data=change(tree.data))
    if isinstance(tree, tuple):
        parts = [map_tensors(part, change) for part in tree]
        return _same_tuple(tree, parts)
    if isinstance(tree, list):
        return [map_tensors(part, change) for part in tree]
    if isinstance(tree, dict):
        return with_entries(tree, {key: map_tensors(value, change) for key, value in tree.items()})
    if isinstance(tree, UserDict):  # what tokenizers return
        return with_entries(tree, {key: map_tensors(value, change) for key, value in tree.items()})
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        changed = {f.name: map_tensors(getattr(tree, f.name), change) for f in dataclasses.fields(tree) if f.init}
        return dataclasses.replace(tree, **changed)
    return tree


def named_tensors(tree: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor with its path: `logits`, `0`, `1.mu`; "" when the tree is a tensor itself."""
    seen: set[int] = set()
    pending: list[tuple[str, Any]] = [(name, tree)]
    while pending and len(seen) < _MOST:
        path, part = pending.pop()
        if isinstance(part, Tensor):
            yield path, part
            continue
        if id(part) in seen:
            continue
        seen.add(id(part))
        children = [(f"{path}.{key}" if path else str(key), value) for key, value in _children(part)]
        pending.extend(reversed(children))


def _children(part: Any) -> list[tuple[Any, Any]]:
    if isinstance(part, PackedSequence):
        return [("data", part.data)]
    if isinstance(part, Mapping):
        return list(part.items())
    if isinstance(part, tuple) and hasattr(part, "_fields"):
        return list(zip(getattr(part, "_fields"), part, strict=False))  # noqa: B009
    if isinstance(part, (list, tuple)):
        return list(enumerate(part))
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        return [(f.name, getattr(part, f.name, None)) for f in dataclasses.fields(part)]
    if hasattr(part, "__dict__") and not isinstance(part, (type, torch.nn.Module)) and not callable(part):
        return list(vars(part).items())
    return []


def holds_data(tree: Any) -> bool:
    """Whether there is a tensor or array in it."""
    return next(named_tensors(as_tensors(tree)), None) is not None


def as_tensors(tree: Any) -> Any:
    """The same structure with numpy arrays and data frames turned into tensors that share their memory where possible."""
    if isinstance(tree, np.ndarray):
        return _from_numpy(tree)
    if type(tree).__module__.partition(".")[0] == "pandas" and hasattr(tree, "to_numpy"):
        return _from_numpy(tree.to_numpy())
    if isinstance(tree, tuple) and not isinstance(tree, PackedSequence):
        parts = [as_tensors(part) for part in tree]
        return _same_tuple(tree, parts)
    if isinstance(tree, list):
        return [as_tensors(part) for part in tree]
    if isinstance(tree, (dict, UserDict)):
        return with_entries(tree, {key: as_tensors(value) for key, value in tree.items()})
    return tree


def _same_tuple(tree: tuple[Any, ...], parts: list[Any]) -> tuple[Any, ...]:
    make: Any = type(tree)
    return make(*parts) if hasattr(tree, "_fields") else tuple(parts)


def with_entries(mapping: Any, entries: dict[Any, Any]) -> Any:
    """A mapping of the same class with other values; a plain dict where its class cannot be copied."""
    if type(mapping) is dict:
        return entries
    try:
        changed = copy.copy(mapping)
        if isinstance(changed, UserDict):
            changed.data = dict(entries)
        else:
            changed.update(entries)
    except Exception:  # a class with its own idea of copying
        return entries
    return changed


def _from_numpy(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind not in "fiubc":
        return array
    if array.dtype in (np.uint16, np.uint32, np.uint64):
        array = array.astype(np.int64)
    if array.dtype.byteorder == ">" or not array.flags.writeable or any(s < 0 for s in array.strides):
        array = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("="))
    return torch.from_numpy(array)


def numeric_lists_as_tensors(tree: Any) -> Any:
    """A tensor for a plain list of numbers, however nested; anything else as it is."""
    if isinstance(tree, (list, tuple)) and tree and _all_numbers(tree):
        try:
            return torch.tensor(tree)
        except (ValueError, TypeError, RuntimeError):  # rows of unequal length
            return tree
    return tree


def _all_numbers(tree: Any) -> bool:
    if isinstance(tree, (list, tuple)):
        return all(_all_numbers(part) for part in tree[:100])
    return isinstance(tree, (int, float)) and not isinstance(tree, bool)
