"""Find the data that the user's file prepares."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import loaders
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.found_data import MINIMUM_KEPT, FoundData
from gradcheck_cli.loading.frames import one_line
from gradcheck_cli.loading.import_errors import located
from gradcheck_cli.loading.signatures import TARGET_NAMES, Signature, signature_of
from gradcheck_cli.loading.tensor_tree import as_tensors, holds_data, map_tensors, named_tensors, numeric_lists_as_tensors

_WHOLE = ("sample", "batch", "sample_batch", "example_batch")
_TARGETS = ("y", "Y", "targets", "target", "labels", "label")
_INPUTS = ("x", "X", "inputs", "input", "images", "features", "input_ids", "tokens")
_EXAMPLES = (
    "example_inputs",
    "example_input",
    "sample_input",
    "sample_inputs",
    "dummy_input",
    "dummy_inputs",
    "example_input_array",
)
_TRAINING_SETS = (
    ("X_train", "y_train"),
    ("X_train", "Y_train"),
    ("x_train", "y_train"),
    ("train_x", "train_y"),
    ("train_X", "train_y"),
)
_WHOLE_SETS = (
    ("data", "target"),
    ("data", "targets"),
    ("data", "labels"),
    ("data", "y"),
)
_BATCH_MAKERS = ("get_batch", "make_batch", "sample_batch", "next_batch", "get_data", "make_data")
_WHOLE_SET = 4096  # rows from which a tensor is taken for the whole training set and not for one batch
_ROWS = 64  # rows of a batch cut from a whole training set


def find_batch(context: Context, model: nn.Module, forward: Signature) -> FoundData | None:
    """The first source of data in the file, in the order of the documentation; None when there is none."""
    steps: tuple[Callable[[], FoundData | None], ...] = (
        lambda: _first_of(context, _WHOLE),
        lambda: _by_parameter_name(context, forward) if len(forward.required) > 1 or forward.required_keywords else None,
        lambda: loaders.find_loader(context, model) if _is_dealt_out(context) else None,
        lambda: _whole_set(context, _TRAINING_SETS),  # `X` beside `X_train` is what was split
        lambda: _first_of(context, _INPUTS),
        lambda: _first_of(context, _EXAMPLES),
        lambda: _carried(model),
        lambda: _by_parameter_name(context, forward),
        lambda: _made_batches(context),
        lambda: loaders.find_loader(context, model),
        lambda: loaders.find_dataset(context),
        lambda: _whole_set(context, _WHOLE_SETS),
    )
    return next((found for step in steps if (found := step()) is not None), None)


def _data(context: Context, name: str) -> Any:
    """The value of a name if it holds tensors, as tensors; else None."""
    value = context.space.get(name)
    if value is None or isinstance(value, (nn.Module, type)) or callable(value) or inspect.ismodule(value):
        return None
    value = as_tensors(numeric_lists_as_tensors(value))
    if any(t.is_nested and t.layout is torch.strided for _, t in named_tensors(value)):
        raise GradcheckError(
            "E349",
            f"`{name}` is a nested tensor of the strided layout",
            "it has no shape that could be read, and torch develops it no further",
            "make it with torch.nested.nested_tensor(..., layout=torch.jagged), or pad the samples",
        )
    return value if holds_data(value) else None


def _plain(context: Context, name: str) -> bool:
    """Whether a variable holds numpy arrays or lists and no tensors: their float64 is a habit of numpy, not a choice."""
    value = context.space.get(name)
    if next(named_tensors(value), None) is not None:
        return False
    if any(t.dtype == torch.float64 for _, t in named_tensors(as_tensors(value))):
        context.assume(f"`{name}` holds float64 numbers of numpy; they were given to the model in its own dtype")
    return True


def _is_dealt_out(context: Context) -> bool:
    """Whether the input variables are a whole set that a DataLoader of the file deals out, in batches of the real size."""
    held: set[int] = set()
    for value in context.space.values():
        if isinstance(value, DataLoader):
            dataset = value.dataset
            while isinstance(dataset, Subset):
                dataset = dataset.dataset
            parts = [*getattr(dataset, "tensors", ()), *getattr(dataset, "__dict__", {}).values()]
            held.update(id(part) for part in parts if isinstance(part, Tensor))
    return any(id(context.space[name]) in held for name in _INPUTS if name in context.space)


def _first_of(context: Context, names: tuple[str, ...]) -> FoundData | None:
    """The first of these variables, with the target that stands beside it; a structure holds its own target."""
    for name in names:
        if (value := _data(context, name)) is None:
            continue
        is_example = name in _EXAMPLES
        if isinstance(value, Tensor) or is_example or name in _INPUTS:
            for partner in _TARGETS:
                if (target := _data(context, partner)) is not None:
                    return _cut(
                        FoundData(
                            raws=[(value, target)], origin=f"found: {name}, {partner}", pair=True, cast=_plain(context, name)
                        ),
                        name,
                        context,
                    )
        own_target = not isinstance(value, Tensor) and name in _WHOLE
        return _cut(
            FoundData(raws=[value], origin=f"found: {name}", has_target=own_target, cast=_plain(context, name)), name, context
        )
    return None


def _whole_set(context: Context, pairs: tuple[tuple[str, str], ...]) -> FoundData | None:
    """Arrays that hold the whole training set."""
    for name, partner in pairs:
        value, target = _data(context, name), _data(context, partner)
        if value is not None and target is not None:
            return _cut(
                FoundData(raws=[(value, target)], origin=f"found: {name}, {partner}", pair=True, cast=_plain(context, name)),
                name,
                context,
            )
    for name in dict.fromkeys(name for name, _ in pairs):
        if (value := _data(context, name)) is not None:
            return _cut(
                FoundData(raws=[value], origin=f"found: {name}", has_target=not isinstance(value, Tensor)), name, context
            )
    return None


def _carried(model: nn.Module) -> FoundData | None:
    """Lightning's example_input_array on the model itself."""
    value = as_tensors(getattr(model, "example_input_array", None))
    return FoundData(raws=[value], origin="found: example_input_array", has_target=False) if holds_data(value) else None


def _by_parameter_name(context: Context, forward: Signature) -> FoundData | None:
    """Variables called as forward's parameters are."""
    needed = [*forward.required, *forward.required_keywords]
    values = {name: _data(context, name) for name in (*forward.positional, *forward.keyword_only)}
    if not needed or any(values[name] is None for name in needed):
        return None
    raw = {name: value for name, value in values.items() if value is not None}
    for name in sorted(TARGET_NAMES - set(raw)):
        if not TARGET_NAMES & set(raw) and (target := _data(context, name)) is not None:
            raw[name] = target
    return FoundData(raws=[raw], origin=f"found: {', '.join(raw)}", cast=any(_plain(context, name) for name in raw))


def _cut(found: FoundData, name: str, context: Context) -> FoundData:
    """A few batches of rows where the variables hold a whole training set."""
    raw = found.raws[0]
    rows = {tensor.shape[0] if tensor.dim() else 0 for _, tensor in named_tensors(raw)}
    if len(rows) != 1 or (count := rows.pop()) <= (_ROWS if "train" in name.lower() else _WHOLE_SET):
        return found
    context.assume(f"`{name}` holds {count} rows: batches of its first rows, {_ROWS} each, were used")
    return cut_rows(found, count, context)


def cut_rows(found: FoundData, count: int, context: Context, rows: int = _ROWS) -> FoundData:
    """Consecutive batches of `rows` from one raw batch whose tensors all have `count` rows."""
    wanted = max(context.settings.batches, MINIMUM_KEPT)
    starts = [s for s in range(0, count, rows) if s + rows <= count][:wanted] or [0]
    return dataclasses.replace(found, raws=[map_tensors(found.raws[0], lambda t, s=s: t[s : s + rows]) for s in starts])  # type: ignore[misc]


def _made_batches(context: Context) -> FoundData | None:
    for name in _BATCH_MAKERS:
        maker = context.space.get(name)
        if not inspect.isroutine(maker):
            continue
        arguments = loaders.arguments_for(maker, context)
        if arguments is None:
            context.leave_out(f"`{name}` was not used: it needs {', '.join(signature_of(maker).required)}")
            continue
        try:
            raws = [as_tensors(maker(**arguments)) for _ in range(max(context.settings.batches, MINIMUM_KEPT))]
        except Exception as exc:
            error = GradcheckError(
                "E349", f"`{name}()` raised, so there is no data", one_line(exc), f"correct `{name}`, or give --data FILE"
            )
            raise located(error, exc, context.base) from exc
        if holds_data(raws[0]):
            shown = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
            if arguments:
                context.assume(f"the batch is from `{name}({shown})`")
            return FoundData(raws=raws, origin=f"found: {name}", has_target=not isinstance(raws[0], Tensor))
    return None
