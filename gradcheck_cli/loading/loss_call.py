"""Call a user's own loss function with what its parameters ask for."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch
from gradcheck_cli.loading.signatures import (
    BATCH_NAMES,
    INPUT_NAMES,
    MODEL_NAMES,
    OUTPUT_NAMES,
    TARGET_NAMES,
    called_attributes,
    signature_of,
)


def takes_model(function: Callable[..., Any], model: nn.Module) -> bool:
    """Whether the first parameter is the model: by name, by annotation, or because the body calls it or a part of it."""
    plain = function.forward if isinstance(function, nn.Module) else function
    required = signature_of(plain).required
    if not required:
        return False
    annotation = inspect.signature(plain).parameters[required[0]].annotation
    if isinstance(annotation, type) and issubclass(annotation, nn.Module):
        return True
    called = called_attributes(plain, required[0])
    return required[0] in MODEL_NAMES or "" in called or any(hasattr(model, n) and not hasattr(Tensor, n) for n in called)


class LossCall:
    """Binds model, batch, output and target to a loss function's parameters by their names and number."""

    def __init__(self, function: Callable[..., Any], model: nn.Module) -> None:
        self.function = function
        plain = function.forward if isinstance(function, nn.Module) else function
        signature = signature_of(plain)
        self.parameters = signature.required if signature.known else ("output", "target")
        self.with_model = takes_model(function, model)
        if not self.parameters and signature.var_positional:
            self.parameters = ("output", "target")

    @property
    def needs_output(self) -> bool:
        """Whether we have to run the model's forward ourselves."""
        return not self.with_model and bool(self.parameters)

    @property
    def wants_target(self) -> bool:
        """Whether a loss can only be had with a target that is not the input."""
        return (
            self.needs_output
            and len(self.parameters) == 2
            and self.parameters[1] not in INPUT_NAMES | BATCH_NAMES | MODEL_NAMES
        )

    def __call__(self, model: nn.Module, batch: Batch, output: Any) -> Any:
        values = self._for_model(model, batch) if self.with_model else self._for_output(model, batch, output)
        return self.function(*values)

    def _for_model(self, model: nn.Module, batch: Batch) -> list[Any]:
        rest = self.parameters[1:]
        if len(rest) == 1:
            lone_input = rest[0] in INPUT_NAMES and batch.target is not None and len(batch.args) == 1
            return [model, batch.args[0] if lone_input else raw_of(batch)]
        inputs: list[Any] = [*batch.args, *batch.kwargs.values()]
        values: list[Any] = [model]
        for name in rest:
            if name in BATCH_NAMES:
                values.append(raw_of(batch))
            elif name in ("batch_idx", "batch_index", "step", "epoch", "i"):
                values.append(0)
            elif name in batch.kwargs:
                values.append(batch.kwargs[name])
            elif name in TARGET_NAMES or name is rest[-1]:
                values.append(batch.target)
            elif inputs:
                values.append(inputs.pop(0))
        return values

    def _for_output(self, model: nn.Module, batch: Batch, output: Any) -> list[Any]:
        names = self.parameters
        if not names:
            return []
        if len(names) <= 2:
            return self._pair(names, model, batch, output)
        outputs = list(
            output.values() if isinstance(output, Mapping) else output if isinstance(output, (tuple, list)) else [output]
        )
        by_name: dict[str, Any] = {**(output if isinstance(output, Mapping) else {}), **_named_parts(batch)}
        targets = [n for n in names if n in TARGET_NAMES] or [n for n in names[1:] if n in INPUT_NAMES]
        values: list[Any] = []
        for name in names:
            if name in MODEL_NAMES:
                values.append(model)
            elif name in BATCH_NAMES:
                values.append(raw_of(batch))
            elif name in by_name:
                values.append(by_name[name])
            elif name in targets[:1]:
                values.append(self._second(name, model, batch))
            elif outputs:
                values.append(outputs.pop(0))
        return values

    def _pair(self, names: tuple[str, ...], model: nn.Module, batch: Batch, output: Any) -> list[Any]:
        if len(names) == 1:
            return [raw_of(batch) if names[0] in BATCH_NAMES else output]
        if names[0] in TARGET_NAMES and names[1] in OUTPUT_NAMES:  # loss(y_true, y_pred)
            return [self._second(names[0], model, batch), output]
        return [output, self._second(names[1], model, batch)]

    def _second(self, name: str, model: nn.Module, batch: Batch) -> Any:
        """What stands beside the output: the target, or the input of an autoencoder, or the whole batch."""
        if name in MODEL_NAMES:
            return model
        if name in BATCH_NAMES:
            return raw_of(batch)
        own_input = batch.args[0] if batch.args else next(iter(batch.kwargs.values()), None)
        reconstructs = name in INPUT_NAMES and name != "input"
        return own_input if reconstructs or batch.target is None else batch.target


def raw_of(batch: Batch) -> Any:
    """The batch in the form of the user's file."""
    if batch.assemble is not None:
        return batch.assemble(batch.args, batch.kwargs, batch.target)
    return batch.args[0] if len(batch.args) == 1 and not batch.kwargs else (*batch.args, *batch.kwargs.values())


def _named_parts(batch: Batch) -> dict[str, Any]:
    raw = raw_of(batch)
    return {**batch.kwargs, **(raw if isinstance(raw, Mapping) else {})}


@contextlib.contextmanager
def standing_in(function: Callable[..., Any], original: nn.Module, model: nn.Module) -> Iterator[None]:
    """Let a function that reads the model from its globals or closure meet `model` instead of the original.

    A copy that is probed would otherwise be measured with a loss of the original.
    """
    plain = inspect.unwrap(function.forward if isinstance(function, nn.Module) else function)
    space: dict[str, Any] = getattr(plain, "__globals__", {})
    names = [name for name, value in space.items() if value is original] if model is not original else []
    cells = [c for c in (getattr(plain, "__closure__", None) or ()) if model is not original and _holds(c, original)]
    try:
        for name in names:
            space[name] = model
        for cell in cells:
            cell.cell_contents = model
        yield
    finally:
        for name in names:
            space[name] = original
        for cell in cells:
            cell.cell_contents = original


def _holds(cell: Any, original: nn.Module) -> bool:
    try:
        return cell.cell_contents is original
    except ValueError:  # an empty cell
        return False
