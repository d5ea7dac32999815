"""Exchange the loss of an objective for another, at the call of torch's loss function or computed from output and target."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from gradcheck_cli.loading.base import Batch, Outcome
from gradcheck_cli.probing.objective import main_output
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.rehearsal import rehearse
from gradcheck_cli.trials.scoped import Call, ScopedLoss


def _class_loss(function: Callable[..., Tensor], output: Tensor, target: Tensor, **options: Any) -> Tensor:
    if target.is_floating_point() and target.shape != output.shape:  # numbers of classes, written as 1.0
        target = target.long()
    if not target.is_floating_point() and target.ndim == output.ndim and target.shape[-1] == 1:
        target = target.squeeze(-1)
    return function(output, target, **options)


def _value_loss(function: Callable[..., Tensor], output: Tensor, target: Tensor, **options: Any) -> Tensor:
    if target.shape != output.shape and target.numel() == output.numel():
        target = target.reshape(output.shape)
    return function(output, target.to(output.dtype), **options)


_CLASS_OPTIONS = ("weight", "ignore_index", "reduction", "label_smoothing")
_FUNCTIONS: Mapping[str, tuple[Callable[..., Tensor], Callable[..., Tensor], tuple[str, ...]]] = {
    "cross_entropy": (_class_loss, F.cross_entropy, _CLASS_OPTIONS),
    "nll": (_class_loss, F.nll_loss, _CLASS_OPTIONS[:3]),
    "bce": (_value_loss, F.binary_cross_entropy, ("weight", "reduction")),
    "bce_logits": (_value_loss, F.binary_cross_entropy_with_logits, ("weight", "reduction", "pos_weight")),
    "mse": (_value_loss, F.mse_loss, ("reduction",)),
    "l1": (_value_loss, F.l1_loss, ("reduction",)),
    "huber": (_value_loss, F.huber_loss, ("reduction",)),
}
LOSSES = tuple(_FUNCTIONS)
_CALLS = {
    "cross_entropy": "cross_entropy", "nll_loss": "nll", "nll_loss_nd": "nll", "binary_cross_entropy": "bce",
    "binary_cross_entropy_with_logits": "bce_logits", "mse_loss": "mse", "l1_loss": "l1", "huber_loss": "huber",
    "smooth_l1_loss": "huber",
}  # fmt: skip
_CLASS_KINDS = ("cross_entropy", "nll")


def loss_of(kind: str, output: Tensor, target: Tensor, options: Mapping[str, Any]) -> Tensor:
    """Compute a loss of the kind from output and target, with those of the old loss's options that it knows too."""
    adapt, function, known = _FUNCTIONS[kind]
    return adapt(function, output, target, **{k: v for k, v in options.items() if k in known})


@dataclass(frozen=True)
class ExchangeLoss:
    """Rewrite that computes another loss where one of torch's loss functions is called."""

    to: str
    places: frozenset[int] | None = None

    def kind_of(self, call: Call) -> str | None:
        return "loss" if call.name in _CALLS and isinstance(call.subject, Tensor) and _CALLS[call.name] != self.to else None

    def replace(self, call: Call) -> Tensor:
        target = call.args[1] if len(call.args) > 1 else call.kwargs["target"]
        options = {k: v for k, v in call.kwargs.items() if k not in ("input", "target")}
        if len(call.args) > 2:
            options["weight"] = call.args[2]
        if (_CALLS[call.name] in _CLASS_KINDS) is not (self.to in _CLASS_KINDS):
            options.pop("weight", None)  # of classes there, of samples here
        return loss_of(self.to, call.subject, target, options)


@dataclass(frozen=True)
class Recomputed:
    """The `compute` of an objective whose loss is computed anew from the output and target that the old one reports."""

    compute: Callable[[nn.Module, Batch], Outcome]
    to: str
    options: Mapping[str, Any]

    def __call__(self, model: nn.Module, batch: Batch) -> Outcome:
        outcome = self.compute(model, batch)
        output = main_output(outcome.output)
        if output is None or not isinstance(outcome.target, Tensor):
            raise NotApplicable("the loss does not say what it compares with what")
        return dataclasses.replace(outcome, loss=loss_of(self.to, output, outcome.target, self.options))


def exchange_loss(setup: Setup, to: str) -> Setup:
    """Return the setup with another loss, in another unit. Raises NotApplicable if it cannot be computed."""
    old = setup.objective
    if old.kind == to:
        raise NotApplicable(f"the loss is {to} already")
    if old.kind == "projection":
        raise NotApplicable("the target has no loss that could be exchanged")
    rewrite = ExchangeLoss(to)
    called = dataclasses.replace(old, kind=to, compute=ScopedLoss(old.compute, (rewrite,)))
    if to not in _CLASS_KINDS:
        called = dataclasses.replace(called, ignore_index=None)
    edited = dataclasses.replace(setup, objective=called, new_loss_scale=True)
    if rehearse(edited, lambda r: r.replaced(None, "loss")):
        return edited
    if old.kind == "model":
        raise NotApplicable("the model computes its loss itself")
    options = {} if old.ignore_index is None or to not in _CLASS_KINDS else {"ignore_index": old.ignore_index}
    again = dataclasses.replace(called, compute=Recomputed(old.compute, to, options))
    edited = dataclasses.replace(setup, objective=again, new_loss_scale=True)
    rehearse(edited, lambda _: None)
    return edited
