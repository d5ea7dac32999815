"""Everything a model holds that a forward pass may change: modules, tensors, containers, plain objects, generators."""

from __future__ import annotations

import random
import sys
import types
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

MAX_ENTRIES = 10_000  # a longer list or dict is a data set, not state: seen by identity and length only
MAX_OBJECTS = 200_000  # containers and plain objects together, modules apart; bounds a model that holds half a program
MAX_DEPTH = 6  # containers and plain objects below a module's own attributes

# Objects of these packages are machinery (threads, loggers, trainers, graphs): rewinding their insides could harm.
_OPAQUE = frozenset(sys.stdlib_module_names) | {"torch", "numpy", "lightning", "pytorch_lightning", "lightning_fabric"}
_FLAT = ("_parameters", "_buffers", "_modules")  # left out of labels, so that they read as in named_parameters()
AFTER_ACCUMULATION = "_post_accumulate_grad_hooks"
HOOK_TABLES = ("_backward_hooks", AFTER_ACCUMULATION)  # of a tensor: a dict, or None before the first hook
_MUTABLE = (dict, list, set, deque)
_ATOMS = {
    *(str, bytes, bool, int, float, complex, type(None), type, torch.dtype, torch.device, torch.Size),
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
}


@dataclass
class Belongings:
    """Label → thing, each thing once, by the first label found. Holding them keeps their ids unique."""

    modules: dict[str, nn.Module] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    containers: dict[str, Any] = field(default_factory=dict)  # dict, list, set, deque; a `__dict__` is one too
    empties: list[Any] = field(default_factory=list)  # containers that hold nothing now
    arrays: dict[str, Any] = field(default_factory=dict)  # numpy arrays
    generators: dict[str, Any] = field(default_factory=dict)  # torch, numpy and `random` generators of the model's own


def belongings(model: nn.Module) -> Belongings:
    """Walk a model's attributes; modules in plain lists and objects count too. Reads `vars()`: no property runs."""
    walk = _Walk()
    walk.todo.append(("", model, 0))
    while walk.todo:
        label, value, depth = walk.todo.pop()
        if id(value) not in walk.seen:
            walk.seen.add(id(value))
            walk.visit(label, value, depth)
    return walk.found


def entries(container: Any) -> list[tuple[Any, Any]]:
    """List (key, value) of a dict, or (position, value) of another container; empty beyond MAX_ENTRIES."""
    if len(container) > MAX_ENTRIES:
        return []
    return list(container.items()) if isinstance(container, dict) else list(enumerate(container))


def refill(container: Any, items: list[tuple[Any, Any]]) -> None:
    """Give a container back the entries it had, in order, keeping the container itself. Runs no overridden method."""
    if isinstance(container, dict):
        kind = OrderedDict if isinstance(container, OrderedDict) else dict
        kind.clear(container)
        for key, value in items:
            kind.__setitem__(container, key, value)
        return
    values = [value for _, value in items]
    if isinstance(container, list):
        list.__setitem__(container, slice(None), values)
    elif isinstance(container, set):
        set.clear(container)
        set.update(container, values)
    else:
        deque.clear(container)
        deque.extend(container, values)


def holds(container: Any, items: list[tuple[Any, Any]]) -> bool:
    """Say whether a container still has exactly these entries, by identity and in order."""
    if isinstance(container, set):
        return len(container) == len(items) and all(value in container for _, value in items)
    now = entries(container)
    keyed = isinstance(container, dict)
    return len(now) == len(items) and all(a[1] is b[1] and (not keyed or a[0] is b[0]) for a, b in zip(now, items, strict=True))


class _Walk:
    """The state of one walk: what is found, what was seen, and what is still to be visited (a stack)."""

    def __init__(self) -> None:
        self.found = Belongings()
        self.seen: set[int] = set()
        self.todo: list[tuple[str, Any, int]] = []

    def visit(self, label: str, value: Any, depth: int) -> None:
        """Sort one value into `found` and put what lies below it on the stack."""
        found = self.found
        if isinstance(value, Tensor):
            found.tensors[label] = value
            self._below_tensor(label, value)
        elif isinstance(value, torch.jit.ScriptModule):
            found.modules[label] = value  # its attributes live in C++; their wrappers are made afresh at each access
            for members in (value.named_modules(), value.named_parameters(), value.named_buffers()):
                self.todo += [(join(label, n), v, 0) for n, v in members if v is not value]
        elif isinstance(value, nn.Module):
            found.modules[label] = value
            found.containers[label + ".__dict__"] = vars(value)
            self._below_attributes(label, vars(value), 0)
        elif isinstance(value, (*_MUTABLE, tuple, frozenset)):
            if isinstance(value, _MUTABLE):
                found.containers[label] = value
            self._push([(f"{label}[{key!r:.80}]", v) for key, v in entries(value)], depth + 1)
        elif is_generator(value):
            found.generators[label] = value
        elif is_array(value):
            found.arrays[label] = value
        elif _is_plain_object(value):
            found.containers[label + ".__dict__"] = vars(value)
            self._below_attributes(label, vars(value), depth + 1)

    def _below_attributes(self, label: str, attributes: dict[str, Any], depth: int) -> None:
        prefix = label + "." if label else ""
        for name in _FLAT:
            table = attributes.get(name)
            if isinstance(table, dict) and table:
                self.found.containers[prefix + name] = table
                self.seen.add(id(table))
                self._push([(prefix + key, v) for key, v in table.items()], 0)
        self._push([(prefix + key, v) for key, v in attributes.items()], depth + 1)

    def _below_tensor(self, label: str, tensor: Tensor) -> None:
        if tensor.is_leaf and tensor.grad is not None:
            self.todo.append((label + ".grad", tensor.grad, 0))
        tables: list[tuple[str, Any]] = [(name, getattr(tensor, name, None)) for name in HOOK_TABLES]
        if isinstance(tensor, nn.Parameter):
            tables.append(("__dict__", vars(tensor)))
        for name, table in tables:
            if table:
                self.found.containers[f"{label}.{name}"] = table
            elif table is not None:
                self.found.empties.append(table)

    def _push(self, items: list[tuple[str, Any]], depth: int) -> None:
        crowded = depth > MAX_DEPTH or len(self.found.containers) - len(self.found.modules) > MAX_OBJECTS
        for label, value in reversed(items):
            if type(value) in _ATOMS:
                continue
            if isinstance(value, _MUTABLE) and not value:  # most hook tables: no need to visit them
                self.found.empties.append(value)
            elif not crowded or isinstance(value, (nn.Module, Tensor)):
                self.todo.append((label, value, depth))


def is_generator(value: Any) -> bool:
    """Say whether a value is a random generator whose state can be read and set."""
    numpy = sys.modules.get("numpy")
    kinds = (torch.Generator, random.Random) + ((numpy.random.Generator, numpy.random.RandomState) if numpy else ())
    return isinstance(value, kinds)


def is_array(value: Any) -> bool:
    """Say whether a value is a numpy array of plain numbers."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray) and not value.dtype.hasobject


def join(label: str, name: str) -> str:
    """Append a name to a dotted label."""
    return f"{label}.{name}" if label else name


def _is_plain_object(value: Any) -> bool:
    if isinstance(value, types.SimpleNamespace):
        return True
    package = type(value).__module__.partition(".")[0]
    return package not in _OPAQUE and isinstance(getattr(value, "__dict__", None), dict)
