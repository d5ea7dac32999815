"""Make a torch optimizer from its description, and put another description into a setup."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from gradcheck_cli.loading.base import OptimizerSpec
from gradcheck_cli.trials.base import NotApplicable, Setup

_SPECIAL = {
    "LBFGS": "LBFGS evaluates the loss several times a step",
    "SparseAdam": "SparseAdam steps parameters with sparse gradients only",
}
_FLAGS = ("nesterov", "centered", "decoupled_weight_decay")


def build(spec: OptimizerSpec, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    """The optimizer over these parameters. Raises NotApplicable for one that torch.optim lacks or that takes no plain step."""
    kind, options = class_of(spec.name), dict[str, Any]()
    accepted = inspect.signature(kind).parameters
    for name, value in spec.options.items():
        if name in accepted:
            options[name] = bool(value) if name in _FLAGS else value
    if "betas" in accepted and {"beta1", "beta2"} <= spec.options.keys():
        options["betas"] = (spec.options["beta1"], spec.options["beta2"])
    try:
        made: torch.optim.Optimizer = kind(list(parameters), lr=spec.lr, **options)
    except (ValueError, TypeError) as error:  # Muon takes matrices only, a bound is violated ...
        raise NotApplicable(f"torch.optim.{spec.name} does not take these parameters: {error}") from error
    return made


def class_of(name: str) -> Any:
    """The class of torch.optim by its exact name; NotApplicable as `build` says."""
    kind = getattr(torch.optim, name, None)
    if not (inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)) or kind is torch.optim.Optimizer:
        raise NotApplicable(f"`{name}` is not an optimizer of torch.optim, so no copy can be trained with it")
    if name in _SPECIAL:
        raise NotApplicable(_SPECIAL[name])
    return kind


def default_of(name: str, option: str) -> float | None:
    """The default of an option of this optimizer, None where it has no such option."""
    parameter = inspect.signature(class_of(name)).parameters.get(option)
    return None if parameter is None else float(parameter.default)


def with_optimizer(setup: Setup, spec: OptimizerSpec, *, assumed: bool) -> Setup:
    """Train with another optimizer; the update ratios of the next probe are for it, unless it merely stands in."""
    return dataclasses.replace(setup, loop=dataclasses.replace(setup.loop, optimizer=spec, assumed=assumed))
