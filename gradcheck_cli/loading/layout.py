"""How a batch as the user's file gives it falls apart into the model's arguments and the loss's target."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gradcheck_cli.loading.base import Batch
from gradcheck_cli.loading.tensor_tree import with_entries

Place = tuple[Literal["arg", "kwarg", "target"], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """`places[key]` says where the entry `key` of the raw batch went.

    `whole` says that the raw batch itself is the one argument (`keys` then names its target, if any) and
    `unpacked` that entry 0 of a tuple was itself spread over the arguments.
    """

    whole: bool = False
    keys: tuple[Any, ...] = ()
    places: Mapping[Any, tuple[Place, ...]] = field(default_factory=dict)
    unpacked: Literal["", "tuple", "dict"] = ""
    guesses: tuple[str, ...] = ()

    def batch(self, raw: Any) -> Batch:
        """The batch as the model is called with it; `assemble` builds the raw form again from changed tensors."""
        if self.whole:
            target = entries_of(raw)[self.keys[0]] if self.keys else None
            return Batch(args=(raw,), target=target, assemble=lambda args, _kwargs, _target: args[0])
        entries = entries_of(raw, self.unpacked)
        args: dict[int, Any] = {}
        kwargs: dict[str, Any] = {}
        targets: dict[Any, Any] = {}
        places: dict[str, dict[Any, Any]] = {"arg": args, "kwarg": kwargs, "target": targets}
        for key in self.keys:
            for kind, name in self.places.get(key, ()):
                places[kind][name] = entries[key]
        target = targets.get(None, targets or None)
        return Batch(
            args=tuple(args[i] for i in sorted(args)),
            kwargs=kwargs,
            target=target,
            assemble=lambda args, kwargs, target: self._assembled(raw, entries, args, kwargs, target),
        )

    def _assembled(self, raw: Any, entries: Mapping[Any, Any], args: Any, kwargs: Any, target: Any) -> Any:
        current = dict(entries)
        for key in self.keys:
            for kind, name in self.places.get(key, ()):
                if kind == "arg":
                    current[key] = args[name]
                elif kind == "kwarg" and name in kwargs:
                    current[key] = kwargs[name]
                elif kind == "target" and len(self.places[key]) == 1:  # else the model's own argument stands for it
                    current[key] = target if name is None else target[name]
        return _rebuilt(raw, current, self.unpacked)


def entries_of(raw: Any, unpacked: str = "") -> dict[Any, Any]:
    """The parts of a raw batch by key, field name or position; those of an unpacked entry 0 by `(0, key)`."""
    if isinstance(raw, Mapping):
        return dict(raw)
    if isinstance(raw, tuple) and hasattr(raw, "_fields"):
        return dict(zip(raw._fields, raw, strict=True))
    if unpacked == "tuple":
        return {**{(0, i): part for i, part in enumerate(raw[0])}, **dict(list(enumerate(raw))[1:])}
    if unpacked == "dict":
        return {**{(0, k): part for k, part in raw[0].items()}, **dict(list(enumerate(raw))[1:])}
    if isinstance(raw, (tuple, list)):
        return dict(enumerate(raw))
    if dataclasses.is_dataclass(raw) and not isinstance(raw, type):
        return {f.name: getattr(raw, f.name) for f in dataclasses.fields(raw)}
    return {None: raw}


def _rebuilt(raw: Any, entries: Mapping[Any, Any], unpacked: str) -> Any:
    if isinstance(raw, Mapping):
        return with_entries(raw, dict(entries))
    if isinstance(raw, tuple) and hasattr(raw, "_fields"):
        return type(raw)(**entries)
    if unpacked:
        inner = {key[1]: value for key, value in entries.items() if isinstance(key, tuple)}
        first = inner if unpacked == "dict" else type(raw[0])(inner[i] for i in range(len(inner)))
        return type(raw)([first, *(entries[i] for i in range(1, len(raw)))])
    if isinstance(raw, (tuple, list)):
        return type(raw)(entries[i] for i in range(len(raw)))
    if dataclasses.is_dataclass(raw) and not isinstance(raw, type):
        return dataclasses.replace(raw, **{k: v for k, v in entries.items() if isinstance(k, str)})
    return entries[None]
