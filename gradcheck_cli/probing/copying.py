"""Copy a model for trials: a deep copy that shares what cannot be copied, says so, and notices use of the original."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from gradcheck_cli.probing.belongings import Belongings, belongings, entries

MAX_ATTEMPTS = 100  # each failed attempt shares at least one thing more


@dataclass
class CrossTalk:
    """Signs that a run of the copy used the original: modules called, parameters whose `.grad` or values changed."""

    calls: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.calls or self.parameters)


@dataclass
class ModelCopy:
    """A copy of `original` to edit and train. `shared` names what both hold in common, `dropped` the hooks left out."""

    model: nn.Module
    original: nn.Module
    shared: tuple[str, ...]
    dropped: tuple[str, ...]

    @contextmanager
    def watch(self) -> Iterator[CrossTalk]:
        """Notice, while the copy runs, closures that lead back to the original; the answer is complete after the block.

        A lambda or a hook that closes over `self` still means the original after a copy: its gradients land there.
        Call the original itself only outside the block.
        """
        talk = CrossTalk()
        mine = {id(m) for m in belongings(self.model).modules.values()}
        theirs = {id(m): n for n, m in belongings(self.original).modules.items() if id(m) not in mine}
        before = {n: _versions(p) for n, p in self.original.named_parameters()}
        handle = register_module_forward_pre_hook(lambda m, _: _note(talk.calls, theirs.get(id(m))))
        try:
            yield talk
        finally:
            handle.remove()
            for name, parameter in self.original.named_parameters():
                if before.get(name) != _versions(parameter):
                    talk.parameters.append(name)


def copy_model(model: nn.Module) -> ModelCopy:
    """Deep-copy a model. What refuses to be copied (locks, files, generators, foreign handles) is shared and named.

    A tensor that belongs to a graph (a cached activation, an old-style weight_norm weight) becomes a detached copy.
    Tensor hooks of parameters and attributes set on parameters, which `copy.deepcopy` forgets, are carried over; hooks
    that run after accumulation are not, since they may step the optimizer. Raises what `copy.deepcopy` raised if no
    culprit is found.
    """
    memo: dict[int, Any] = {}
    shared: dict[str, None] = {}
    for _ in range(MAX_ATTEMPTS):
        attempt = dict(memo)
        try:
            with torch.no_grad():  # else the copied parameters of a ScriptModule would hang on the original's
                twin = copy.deepcopy(model, attempt)
            break
        except Exception:
            culprits = _uncopyable(model, memo)
            if not culprits:
                raise
            for label, value in culprits:
                memo[id(value)] = _stand_in(value)
                if memo[id(value)] is value:
                    shared[label] = None
    else:
        raise RuntimeError(f"the model could not be copied in {MAX_ATTEMPTS} attempts")
    dropped = _carry_over(model, twin, attempt)
    return ModelCopy(model=twin, original=model, shared=tuple(shared), dropped=dropped)


def _uncopyable(model: nn.Module, memo: dict[int, Any]) -> list[tuple[str, Any]]:
    """Find the smallest things that fail to be copied, by label; copies neither modules nor parameters to find out."""
    found = belongings(model)
    known = dict(memo)
    for value in (*found.modules.values(), *(t for t in found.tensors.values() if t.is_leaf)):
        known[id(value)] = value
    culprits: list[tuple[str, Any]] = []
    for label, tensor in found.tensors.items():
        if id(tensor) not in memo and _fails(tensor, memo):
            culprits.append((label, tensor))
            known[id(tensor)] = None
    simple, composite = _attributes(found)
    for label, value in simple:
        if id(value) not in known and _fails(value, known):
            known[id(value)] = value
            culprits.append((label, value))
    # Nothing small is to blame: an object that holds others refuses as a whole. The deepest one comes last in the walk.
    return culprits or [(n, v) for n, v in reversed(composite) if id(v) not in known and _fails(v, known)][:1]


def _attributes(found: Belongings) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """List all values with their labels: those without, and those with contents that the walk lists on its own."""
    inside = {id(container) for container in found.containers.values()}
    simple: list[tuple[str, Any]] = []
    composite: list[tuple[str, Any]] = []
    for label, container in found.containers.items():
        stem, attribute, _ = label.rpartition("__dict__")
        for key, value in entries(container):
            name = f"{stem}{key}".lstrip(".") if attribute else f"{label}[{key!r}]"
            holds_more = isinstance(value, (dict, list, set, tuple)) or id(getattr(value, "__dict__", None)) in inside
            (composite if holds_more else simple).append((name, value))
    return simple, composite


def _fails(value: Any, memo: dict[int, Any]) -> bool:
    try:
        copy.deepcopy(value, dict(memo))
    except Exception:
        return True
    return False


def _stand_in(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) and not value.is_leaf else value


def _carry_over(model: nn.Module, copied: nn.Module, memo: dict[int, Any]) -> tuple[str, ...]:
    """Give copied parameters the flags, attributes and tensor hooks of their originals; name those with hooks left out."""
    dropped, twins = [], dict(copied.named_parameters())
    for name, parameter in model.named_parameters():
        twin = twins.get(name)
        if twin is None or twin is parameter:
            continue
        twin.requires_grad_(parameter.requires_grad)
        for key, value in vars(parameter).items():
            if key not in vars(twin):
                setattr(twin, key, copy.deepcopy(value, memo))
        for hook in (parameter._backward_hooks or {}).values():
            twin.register_hook(copy.deepcopy(hook, memo))  # type: ignore[no-untyped-call]
        if getattr(parameter, "_post_accumulate_grad_hooks", None):
            dropped.append(name)
    return tuple(dropped)


def _versions(parameter: Tensor) -> tuple[int, ...]:
    grad = parameter.grad
    return (parameter._version, id(grad), -1 if grad is None else grad._version)


def _note(calls: list[str], name: str | None) -> None:
    if name is not None and name not in calls:
        calls.append(name)
