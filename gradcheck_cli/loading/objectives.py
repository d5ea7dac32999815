"""Make an Objective: how a loss comes from a model and a batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import standard_losses
from gradcheck_cli.loading.base import Batch, Objective, Outcome
from gradcheck_cli.loading.loss_call import LossCall, standing_in
from gradcheck_cli.loading.loss_check import check_loss, scalar_of
from gradcheck_cli.loading.tensor_tree import named_tensors


def standard(
    kind: str,
    function: Callable[..., Tensor],
    name: str,
    origin: str,
    *,
    ignore_index: int | None = None,
    lenient: bool = False,
    reduce: str | None = None,
) -> Objective:
    """A loss that torch has, of output and target."""

    def compute(model: nn.Module, batch: Batch) -> Outcome:
        output = model(*batch.args, **batch.kwargs)
        target, notes = _target_or_input(batch, output)
        fitted = standard_losses.fit(kind, output, target, lenient=lenient)
        _check_targets(fitted, kind, ignore_index)
        value = function(fitted.output, fitted.target)
        return Outcome(
            loss=check_loss(value, name, reduce), output=fitted.output, target=fitted.target, assumptions=notes + fitted.notes
        )

    if ignore_index is None and kind in standard_losses.CLASS_KINDS:
        ignore_index = -100
    return Objective(name=name, kind=kind, origin=origin, compute=compute, ignore_index=ignore_index)


def _target_or_input(batch: Batch, output: Any) -> tuple[Any, tuple[str, ...]]:
    """The target; for an autoencoder without one the input, if it has the output's shape."""
    if batch.target is not None:
        return batch.target, ()
    inputs = [*batch.args, *batch.kwargs.values()]
    shapes = {tensor.shape for _, tensor in named_tensors(output)}
    if inputs and isinstance(inputs[0], Tensor) and inputs[0].shape in shapes:
        return inputs[0], ("the input is the target: there is no other, and the output has its shape",)
    raise GradcheckError(
        "E339",
        "the loss needs a target and the batch has none",
        "the output has not the input's shape, so it is no autoencoder",
        "give the target too, e.g. `y` beside `x`, or use --loss projection",
    )


def _check_targets(fitted: standard_losses.Fitted, kind: str, ignore_index: int | None) -> None:
    """Cross-entropy of nothing but ignored targets is 0/0."""
    target = fitted.target
    if kind in standard_losses.CLASS_KINDS and isinstance(target, Tensor) and not target.is_floating_point() and target.numel():
        ignored = -100 if ignore_index is None else ignore_index
        if bool((target == ignored).all()):
            raise GradcheckError(
                "E456",
                f"all {target.numel()} targets are the ignored index {ignored}",
                "the mean over no targets is NaN",
                "give a batch with targets that count",
            )


def own_function(
    function: Callable[..., Any], name: str, origin: str, original: nn.Module, *, reduce: str | None = None
) -> Objective:
    """A loss function or loss module that the user wrote, called by its parameters."""
    call = LossCall(function, original)

    def compute(model: nn.Module, batch: Batch) -> Outcome:
        with standing_in(function, original, model):
            if call.needs_output:
                output = model(*batch.args, **batch.kwargs)
                value = call(model, batch, output)
            else:
                with last_output(model) as seen:
                    value = call(model, batch, None)
                output = seen[-1] if seen else None
        return Outcome(loss=check_loss(value, name, reduce, function), output=output, target=batch.target)

    return Objective(name=name, kind="other", origin=origin, compute=compute)


@contextlib.contextmanager
def last_output(model: nn.Module) -> Iterator[list[Any]]:
    """What the model's forward returned last, when the user's code calls it.

    The hook is a global one: a hook on the model itself would look like one of the user's.
    """
    seen: list[Any] = []

    def keep(module: nn.Module, _inputs: Any, output: Any) -> None:
        if module is model:
            seen[:] = [output]

    handle = register_module_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


def model_loss(name: str, origin: str, *, reduce: str | None = None) -> Objective:
    """The loss that the model itself returns: `.loss`, the entry `loss`, the one scalar of a tuple, or the output itself."""

    def compute(model: nn.Module, batch: Batch) -> Outcome:
        output = model(*batch.args, **batch.kwargs)
        loss, rest = split_model_output(output)
        return Outcome(loss=check_loss(loss, name, reduce), output=rest, target=batch.target)

    return Objective(name=name, kind="model", origin=origin, compute=compute)


def split_model_output(output: Any) -> tuple[Any, Any]:
    """The loss in a model's output, and what else is in it (logits where they are named)."""
    if isinstance(output, Tensor):
        return output, None
    if _loss_parts(output):
        return sum(output.values()), output
    loss = getattr(output, "loss", None) if hasattr(output, "loss") else scalar_of(output)
    rest = getattr(output, "logits", None)
    if rest is None and isinstance(output, dict):
        rest = output.get("logits")
    if rest is None and isinstance(output, (tuple, list)):
        rest = next((part for part in output if isinstance(part, Tensor) and part is not loss), None)
    return loss, rest


def _loss_parts(output: Any) -> bool:
    """Whether the output is a dictionary of scalar losses, as detectors return it in training: it is summed."""
    if type(output) is not dict or not output:
        return False
    return all(isinstance(v, Tensor) and v.dim() == 0 and "loss" in str(k) for k, v in output.items()) and "loss" not in output


def returns_loss(output: Any) -> str:
    """How the output holds a loss, in words; "" when it holds none."""
    if isinstance(output, Tensor):
        return "the model's output" if output.dim() == 0 and output.is_floating_point() else ""
    if isinstance(getattr(output, "loss", None), Tensor):
        return "output.loss"
    if isinstance(output, dict) and isinstance(output.get("loss"), Tensor):
        return "output['loss']"
    if _loss_parts(output):
        return f"the sum of output[{'], output['.join(repr(key) for key in output)}]"
    if isinstance(output, (tuple, list)):
        scalars = [
            i for i, part in enumerate(output) if isinstance(part, Tensor) and part.dim() == 0 and part.is_floating_point()
        ]
        if len(scalars) == 1:
            return f"output[{scalars[0]}]"
    return ""


def projection(seed: int, origin: str) -> Objective:
    """A fixed random weighting of everything the model puts out."""

    def compute(model: nn.Module, batch: Batch) -> Outcome:
        output = model(*batch.args, **batch.kwargs)
        return Outcome(loss=standard_losses.random_projection(output, seed), output=output, target=batch.target)

    return Objective(name="projection", kind="projection", origin=origin, compute=compute)


def by_kind(kind: str, origin: str, *, reduce: str | None = None) -> Objective:
    """A standard loss of our choice or of --loss, with the target adapted to it."""
    return standard(kind, standard_losses.FUNCTIONS[kind], kind, origin, lenient=True, reduce=reduce)


def of_probabilities(origin: str) -> Objective:
    """Negative log-likelihood of class probabilities: cross-entropy would put a second softmax on them."""

    def compute(model: nn.Module, batch: Batch) -> Outcome:
        output = model(*batch.args, **batch.kwargs)
        fitted = standard_losses.fit("nll", output, batch.target, lenient=True)
        logs = fitted.output.clamp_min(torch.finfo(fitted.output.dtype).tiny).log()
        loss = torch.nn.functional.nll_loss(logs, fitted.target)
        return Outcome(loss=loss, output=fitted.output, target=fitted.target, assumptions=fitted.notes)

    return Objective(name="nll of probabilities", kind="other", origin=origin, compute=compute)
