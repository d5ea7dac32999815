"""The options by name, and how one value of a flag, variable or file becomes the option's type."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.settings import Display, Gate, Option, Settings


@dataclass(frozen=True, slots=True)
class Field:
    """One option: where it belongs, what it may hold and how it is described."""

    name: str
    record: type
    hint: Any  # without "| None"
    default: Any
    option: Option

    @property
    def key(self) -> str:
        """The spelling in flags and files."""
        return self.name.replace("_", "-")


@functools.cache
def fields() -> Mapping[str, Field]:
    """Return every option by field name, in the order in which the records declare them."""
    found = {}
    for record in (Settings, Gate, Display):
        hints = typing.get_type_hints(record)
        for each in dataclasses.fields(record):
            if option := each.metadata.get("option"):
                default = {} if each.default is dataclasses.MISSING else each.default
                found[each.name] = Field(each.name, record, _required(hints[each.name]), default, option)
    return found


def _required(hint: Any) -> Any:
    """Strip `| None` from a type: None is the absence of an option, never a value."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return next(a for a in typing.get_args(hint) if a is not type(None))
    return hint


def unknown(kind: str, name: str, known: Iterable[str], *, where: str | None = None) -> GradcheckError:
    """Build E674: what is not known, and what was probably meant."""
    near = closest(name, known)
    do = f"did you mean `{near}`?" if near else "see `gradcheck scan --help` for all options"
    return GradcheckError(
        "E674", f"unknown {kind} `{name}`", "a misspelt setting must not be passed over in silence", do, where=where
    )


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, None when none is near."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def check(name: str, value: Any, source: str, *, where: str | None = None) -> Any:
    """Turn a value of a flag, variable or file into the option's type, or raise E675 with what is accepted."""
    each = fields()[name]
    try:
        parsed = _parse(each, value)
    except (ValueError, TypeError):
        accepted = _accepted(each)
        shown = repr(value[0]) if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) else repr(value)
        near = _nearest(value, choices(each))
        raise GradcheckError(
            "E675",
            f"{source} cannot be {shown}",
            f"it takes {accepted}",
            f"did you mean `{near}`?" if near else f"give {accepted}",
            where=where,
        ) from None
    return parsed


def _nearest(value: Any, words: tuple[str, ...]) -> str | None:
    """Return the word that was probably meant by the first one that is not accepted."""
    given = value if isinstance(value, (list, tuple)) else [value]
    wrong = next((str(v) for v in given if v not in words), "")
    return closest(wrong, words)


def _parse(each: Field, value: Any) -> Any:
    hint, origin = each.hint, typing.get_origin(each.hint)
    if origin is typing.Literal:
        return _one_of(value, typing.get_args(hint))
    if hint is bool:
        return value if isinstance(value, bool) else _boolean(value)
    if hint in (int, float):
        if isinstance(value, bool) or (hint is int and isinstance(value, float)):
            raise TypeError
        return _in_range(each.option, hint(value))
    if origin is tuple:
        return _several(each, value)
    if hint is str:
        if not isinstance(value, str) or not value:
            raise TypeError
        return value
    return _pairs(value)


def choices(each: Field) -> tuple[str, ...]:
    """Return the words that an option takes, alone or in a list; empty where it takes anything."""
    hint = typing.get_args(each.hint)[0] if typing.get_origin(each.hint) is tuple else each.hint
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def _one_of(value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed:
        raise ValueError
    return value


def _boolean(value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if not isinstance(value, str) or value.lower() not in words:
        raise ValueError
    return words[value.lower()]


def _in_range(option: Option, number: float) -> float:
    if not math.isfinite(number):
        raise ValueError
    if option.minimum is not None and number < option.minimum:
        raise ValueError
    if option.maximum is not None and number > option.maximum:
        raise ValueError
    if option.above is not None and number <= option.above:
        raise ValueError
    return number


def _several(each: Field, value: Any) -> tuple[str, ...]:
    """Split a text at commas; where a value may hold commas itself (shapes, files) at semicolons, and a list not at all."""
    given = [value] if isinstance(value, str) else list(value)
    if not all(isinstance(part, str) for part in given):
        raise TypeError
    if each.option.repeat:
        parts = value.split(";") if isinstance(value, str) else given
    else:
        parts = [piece for part in given for piece in part.split(",")]
    pieces = [part.strip() for part in parts if part.strip()]
    if not pieces and each.default:  # an empty variable of a shell must not switch off what is on by default
        raise ValueError
    return tuple(_one_of(piece, allowed) for piece in pieces) if (allowed := choices(each)) else tuple(pieces)


def _pairs(value: Any) -> dict[str, Any]:
    """Read NAME=VALUE pairs; a value that is written like a Python literal is one, else it is text."""
    if isinstance(value, dict):
        return dict(value)
    pairs = {}
    for part in value.split(";") if isinstance(value, str) else value:
        name, separator, text = part.partition("=")
        if not separator or not name.strip().isidentifier():
            raise ValueError
        pairs[name.strip()] = _literal(text)
    return pairs


def _literal(text: str) -> Any:
    """Read a Python literal that JSON can carry to the worker; anything else is text."""
    try:
        value = ast.literal_eval(text.strip())
        json.dumps(value, allow_nan=False)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return value


def _accepted(each: Field) -> str:
    origin, option = typing.get_origin(each.hint), each.option
    if words := choices(each):
        return " or ".join(map(repr, words)) if len(words) < 4 else f"one of {', '.join(words)}"
    bound = "" if option.minimum is None else f" of at least {option.minimum:g}"
    bound = bound if option.above is None else f" above {option.above:g}"
    bound += "" if option.maximum is None else f" and at most {option.maximum}"
    kinds: dict[Any, str] = {bool: "true or false", int: f"a whole number{bound}", float: f"a number{bound}", str: "some text"}
    if each.hint in kinds:
        return kinds[each.hint]
    return "a list of texts" if origin is tuple else "NAME=VALUE, the name being a Python identifier"
