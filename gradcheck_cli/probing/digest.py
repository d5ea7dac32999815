"""What a model and the process look like, bit by bit, so that "untouched" can be checked instead of assumed."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn

from gradcheck_cli.probing.belongings import HOOK_TABLES, Belongings, belongings, entries
from gradcheck_cli.probing.bits import fingerprint, hash_bytes
from gradcheck_cli.probing.process_state import generator_state, global_tokens

_VALUES = (bool, int, str, bytes, type(None))


class Inventory:
    """Label → token of everything found; two inventories of one live model are equal if and only if nothing changed.

    Tokens hold object identities: they compare only within a process, and only while `found` keeps the objects alive.
    """

    def __init__(self, model: nn.Module) -> None:
        self.found: Belongings = belongings(model)
        self.tokens: dict[str, Any] = {label: (id(m), id(type(m)), m.training) for label, m in self.found.modules.items()}
        for label, container in self.found.containers.items():
            self.tokens[label + "{}"] = _container_token(container)
        for label, tensor in self.found.tensors.items():
            self.tokens[label + "="] = tensor_token(tensor)
        for label, values in self.found.arrays.items():
            self.tokens[label + "="] = _array_token(values)
        for label, generator in self.found.generators.items():
            self.tokens[label + "="] = (id(generator), hash_bytes(repr(generator_state(generator)).encode()))
        self.tokens.update(global_tokens())

    def refresh(self, label: str) -> None:
        """Look again at one tensor or array."""
        if label in self.found.tensors:
            self.tokens[label + "="] = tensor_token(self.found.tensors[label])
        elif label in self.found.arrays:
            self.tokens[label + "="] = _array_token(self.found.arrays[label])


def digest(model: nn.Module) -> str:
    """Hash a model and the global state: classes, flags, hooks, attributes, tensor bits, `.grad`, generators, modes.

    Object identities count, so it compares a live model with itself, not with a copy or across processes.
    """
    return hash_bytes(repr(sorted(Inventory(model).tokens.items())).encode()).hex()


def differences(before: Inventory, after: Inventory) -> list[str]:
    """Say in words what differs between two inventories of one model, in the order of the model."""
    changed: dict[str, None] = {}
    for label in before.tokens.keys() | after.tokens.keys():
        old, new = before.tokens.get(label), after.tokens.get(label)
        if old == new or (old is None and label.startswith("global ")):
            continue  # a global that did not exist before: numpy was imported, CUDA was initialised
        for words in _describe(label, old, new):
            changed[words] = None
    return sorted(changed)


def tensor_token(tensor: Tensor) -> tuple[Hashable, ...]:
    """Everything of one tensor: identity, class, flags, `.grad` object, hooks, layout; last the bits of its values."""
    with torch._C.DisableTorchFunctionSubclass():
        hooks = [id(getattr(tensor, name, None)) for name in HOOK_TABLES]
        flags = (tensor.requires_grad, tensor.is_leaf, id(tensor.grad) if tensor.is_leaf else 0)
        return (id(tensor), id(type(tensor)), *flags, *hooks, *layout(tensor), fingerprint(tensor))


def layout(tensor: Tensor) -> tuple[Hashable, ...]:
    """Dtype and device of a tensor; for a strided one also shape, strides, offset, identity and size of its storage."""
    try:
        storage = tensor.untyped_storage()
        place = (tensor.stride(), tensor.storage_offset(), storage._cdata, storage.nbytes())
        return (tensor.dtype, tensor.device, tensor.shape, *place)
    except (RuntimeError, NotImplementedError):
        return (tensor.dtype, tensor.device)


def _array_token(values: Any) -> Hashable:
    return (id(values), values.shape, str(values.dtype), hash_bytes(values.tobytes()))


def _container_token(container: Any) -> Hashable:
    if isinstance(container, set):  # no order to compare
        return (id(container), len(container), tuple(sorted(repr(_token(v)) for _, v in entries(container))))
    return (id(container), len(container), tuple((_token(k), _token(v)) for k, v in entries(container)))


def _token(value: Any) -> Hashable:
    """A plain value by type and value (floats by their bits), anything else by identity."""
    kind = type(value)
    if kind in _VALUES:
        return (kind.__name__, value)
    if kind is float:
        return ("float", value.hex())
    return id(value)


def _describe(label: str, old: Any, new: Any) -> list[str]:
    if label.startswith("global "):
        return [label.removeprefix("global ")]
    if label.endswith("{}"):
        return _describe_container(label[:-2], old, new)
    name = label.removesuffix("=") or "the model"
    if old is None or new is None:
        return [f"`{name}` {'appeared' if old is None else 'is gone'}"]
    if not label.endswith("="):
        return [f"`{name}` class or training mode"]
    if old[:-1] == new[:-1]:
        return [f"`{name}` value"]
    return [f"`{name}` object, shape or flags"]


def _describe_container(label: str, old: Any, new: Any) -> list[str]:
    name = label.removesuffix(".__dict__")
    if old is None or new is None or old[0] != new[0] or any(isinstance(entry, str) for entry in old[2] + new[2]):
        return [f"`{name or 'the model'}` contents"]
    before, after = dict(old[2]), dict(new[2])
    keys = [key for key in {**before, **after} if before.get(key, _MISSING) != after.get(key, _MISSING)]
    if not keys:
        return [f"`{name or 'the model'}` order of entries"]
    return [f"`{name}.{key[1]}`" if name else f"`{key[1]}`" for key in keys if isinstance(key, tuple)]


_MISSING = object()
