"""Records to and from plain dictionaries."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

_T = TypeVar("_T")


def to_dict(record: Any) -> Any:
    """Turn a record into dictionaries, lists and scalars that `json.dumps(allow_nan=False)` takes."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_dict(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(k): to_dict(v) for k, v in record.items()}
    if isinstance(record, (list, tuple)):
        return [to_dict(v) for v in record]
    if isinstance(record, float) and not math.isfinite(record):
        return repr(record)  # 'nan', 'inf', '-inf'
    return record


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def from_dict(cls: type[_T], data: Any) -> _T:
    """Rebuild a record from `to_dict`'s result; keys of a newer minor schema are ignored, missing ones take their default.

    Raises TypeError, ValueError, KeyError, AttributeError or IndexError for what `to_dict` does not write.
    """
    return typing.cast(_T, _restore(cls, data))


def _restore(hint: Any, data: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = _hints(hint)
        known = {f.name for f in dataclasses.fields(hint)}
        return hint(**{k: _restore(hints[k], v) for k, v in data.items() if k in known})
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        kinds = [args[0]] * len(data) if len(args) == 2 and args[1] is Ellipsis else args
        return tuple(_restore(k, v) for k, v in zip(kinds, data, strict=True))
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        return _restore(next(a for a in args if a is not type(None)), data)
    if hint is float:
        return float(data)
    if isinstance(plain := origin or hint, type) and not isinstance(data, plain):
        raise TypeError(f"{data!r} is no {plain.__name__}")
    return data
