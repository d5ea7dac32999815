"""What loading hands to probing: the only records that hold live torch objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from gradcheck_cli.records import IgnoreComment, SourceSite


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch as the model is called with it: `model(*args, **kwargs)`; `target` goes to the loss only.

    `assemble(args, kwargs, target)` gives the form that the user's own loss or training step takes.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    target: Any = None
    assemble: Callable[[tuple[Any, ...], Mapping[str, Any], Any], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one forward pass gave: a real scalar loss, output and target as the loss saw them, and what was guessed for it."""

    loss: Tensor
    output: Any
    target: Any = None
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """How a loss is made from a model and a batch. `compute` uses only the model it is given, so that copies can be probed."""

    name: str
    kind: str  # as in records.ObjectiveProfile.kind
    origin: str
    compute: Callable[[nn.Module, Batch], Outcome]
    ignore_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSpec:
    """Optimizer and learning rate found in the user's file or given. `name` is the torch.optim class name, e.g. "AdamW"."""

    name: str
    lr: float
    options: Mapping[str, float] = field(default_factory=dict)  # momentum, weight_decay, beta1, beta2, eps
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model with everything needed to run one training step on it."""

    model: nn.Module
    batches: tuple[Batch, ...]
    objectives: tuple[Objective, ...]
    optimizer: OptimizerSpec | None
    sites: Mapping[str, SourceSite]  # module name as in named_modules() → the line that builds it
    target: str
    data_origin: str = ""  # "found: x, y"
    assumptions: tuple[str, ...] = ()
    comments: tuple[IgnoreComment, ...] = ()  # suppressions in the files that build it
