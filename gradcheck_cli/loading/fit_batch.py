"""Decide which part of a raw batch is which argument of forward, and which is the target."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gradcheck_cli.loading.layout import Layout, Place, entries_of
from gradcheck_cli.loading.signatures import TARGET_NAMES, Signature

_LABEL_PARAMETERS = ("labels", "targets", "target", "label", "y")  # in the order they are tried for a target without a name


def fit(
    raw: Any,
    forward: Signature,
    *,
    taken_apart: bool = False,
    targets_to_model: bool = True,
    has_target: bool = True,
    pair: bool = False,
) -> Layout:
    """Match a raw batch with the parameters of `forward`.

    `taken_apart` says that forward takes a whole batch itself; `targets_to_model` that an optional parameter called `labels`,
    `targets` ... is to be given (the model then returns the loss itself); `has_target` is False when all of it is input; `pair`
    that the batch is (input, target) for sure.
    """
    if pair:
        nested = _fit_nested(raw, forward, targets_to_model)
        return nested or Layout(keys=(0, 1), places={0: (("arg", 0),), 1: _target_place(forward, 1, targets_to_model)})
    if has_names(raw):
        return _fit_names(raw, forward, taken_apart, targets_to_model)
    if isinstance(raw, (tuple, list)) and not hasattr(raw, "batch_sizes"):
        return _fit_positions(raw, forward, taken_apart, targets_to_model, has_target)
    if isinstance(raw, Tensor):
        return Layout(keys=(None,), places={None: (("arg", 0),)})
    return Layout(whole=True)


def has_names(raw: Any) -> bool:
    """Whether the parts of the batch carry names."""
    return (
        isinstance(raw, Mapping)
        or (isinstance(raw, tuple) and hasattr(raw, "_fields") and not hasattr(raw, "batch_sizes"))
        or (dataclasses.is_dataclass(raw) and not isinstance(raw, type))
    )


def _fit_names(raw: Any, forward: Signature, taken_apart: bool, targets_to_model: bool) -> Layout:
    entries = entries_of(raw)
    names = [n for n in entries if isinstance(n, str)]
    accepted = [n for n in names if forward.accepts(n) or (forward.var_keyword and (n not in TARGET_NAMES or targets_to_model))]
    if taken_apart and len(forward.required) == 1:
        return _whole(names)
    if not accepted or (forward.required and not set(accepted) & set(forward.required)):
        return _fit_unnamed(entries, names, forward)
    return Layout(keys=tuple(names), places=_named_places("", names, accepted, forward, targets_to_model))


def _whole(names: list[str]) -> Layout:
    """The model takes the batch as one argument; a part of it called `labels`, `target` ... is the loss's target too."""
    targets = [n for n in names if n in TARGET_NAMES]
    return Layout(whole=True, keys=(targets[0],) if len(targets) == 1 else ())


def _named_places(
    prefix: Any, names: list[str], accepted: list[str], forward: Signature, targets_to_model: bool
) -> dict[Any, tuple[Place, ...]]:
    needed = {*forward.required, *forward.required_keywords}
    rest = [n for n in names if n not in accepted]
    named = [n for n in names if n in TARGET_NAMES]
    targets = [n for n in rest if n in TARGET_NAMES] or named or rest
    places: dict[Any, tuple[Place, ...]] = {}
    for name in names:
        given = name in accepted and (targets_to_model or name not in TARGET_NAMES or name in needed)
        place: tuple[Place, ...] = (("kwarg", name),) if given else ()
        if name in targets:
            place += (("target", None if len(targets) == 1 else name),)
        places[(prefix, name) if prefix != "" else name] = place
    return places


def _fit_unnamed(entries: Mapping[str, Any], names: list[str], forward: Signature) -> Layout:
    """A batch none of whose names is a parameter of forward: pass it whole, or its inputs by position."""
    targets = [n for n in names if n in TARGET_NAMES]
    inputs = [n for n in names if n not in TARGET_NAMES and isinstance(entries[n], Tensor)]
    if len(inputs) != len(forward.required) or not inputs:
        return _whole(names)
    places: dict[Any, tuple[Place, ...]] = {n: (("arg", i),) for i, n in enumerate(inputs)}
    places.update({n: (("target", None if len(targets) == 1 else n),) for n in targets})
    pairs = ", ".join(f"`{n}` is given as `{p}`" for n, p in zip(inputs, forward.required, strict=True))
    return Layout(keys=tuple(names), places=places, guesses=(f"from the batch {pairs}",))


def _fit_positions(raw: Any, forward: Signature, taken_apart: bool, targets_to_model: bool, has_target: bool) -> Layout:
    count = len(raw)
    if taken_apart and len(forward.required) == 1:
        return Layout(whole=True)
    if has_target and count == 2:
        unpacked = _fit_nested(raw, forward, targets_to_model)
        if unpacked is not None:
            return unpacked
    inputs = _input_count(count, forward, has_target)
    places: dict[Any, tuple[Place, ...]] = {i: (("arg", i),) for i in range(inputs)}
    if inputs < count:
        places[inputs] = _target_place(forward, inputs, targets_to_model)
    elif has_target and count == len(forward.required) > 1 and forward.required[-1] in TARGET_NAMES:
        places[count - 1] = (("arg", count - 1), ("target", None))
    spare = f"entry {inputs} of the batch is taken as the target, entries after it are not used"
    return Layout(keys=tuple(range(count)), places=places, guesses=(spare,) if inputs + 1 < count else ())


def _fit_nested(raw: Any, forward: Signature, targets_to_model: bool) -> Layout | None:
    """`((a, b), target)` or `({"a": ..., "b": ...}, target)` for a forward of several parameters."""
    first = raw[0]
    if isinstance(first, Mapping):
        names = [n for n in first if forward.accepts(n) or forward.var_keyword]
        if not names or not set(forward.required) <= set(names):
            return None
        places: dict[Any, tuple[Place, ...]] = {(0, n): (("kwarg", n),) for n in names}
        places[1] = _target_place(forward, len(forward.positional), targets_to_model)
        return Layout(keys=(*((0, n) for n in first), 1), places=places, unpacked="dict")
    several = len(forward.required) >= 2 or forward.var_positional
    if isinstance(first, (tuple, list)) and several and len(first) <= forward.most:
        places = {(0, i): (("arg", i),) for i in range(len(first))}
        places[1] = _target_place(forward, len(first), targets_to_model)
        return Layout(keys=(*((0, i) for i in range(len(first))), 1), places=places, unpacked="tuple")
    return None


def _target_place(forward: Signature, inputs: int, targets_to_model: bool) -> tuple[Place, ...]:
    """The loss gets the target; a model with a parameter for labels that stands free gets it too."""
    taken = forward.positional[:inputs]
    free = [n for n in _LABEL_PARAMETERS if forward.accepts(n) and n not in taken]
    return ((("kwarg", free[0]),) if targets_to_model and free else ()) + (("target", None),)


def _input_count(count: int, forward: Signature, has_target: bool) -> int:
    """How many leading entries are inputs; the one after them is the target."""
    needed = len(forward.required)
    if count <= 1 or not has_target or (forward.known and count <= needed):
        return count
    return count - 1 if count - 1 <= forward.most else max(needed, 1)
