"""Watch how a model calls some of its modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from gradcheck_cli.probing.probe import training_mode
from gradcheck_cli.probing.running import seed_everything
from gradcheck_cli.probing.sandbox import untouched
from gradcheck_cli.trials.base import Setup

RUNS = 2  # a state kept from one batch to the next is seen in the second


@dataclass(frozen=True, slots=True)
class SeenCall:
    """One call of a module with what went in and came out; `run` counts forward passes of the model."""

    run: int
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any


def calls_of(setup: Setup, modules: Sequence[nn.Module]) -> dict[nn.Module, list[SeenCall]]:
    """The calls of these modules in two forward passes, in order. The model and the random state stay as they are."""
    seen: dict[nn.Module, list[SeenCall]] = {module: [] for module in modules}
    run = 0

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        seen[module].append(SeenCall(run, args, kwargs, output))

    model, batches = setup.subject.model, setup.subject.batches
    with untouched(model), training_mode(model):
        handles = [m.register_forward_hook(note, with_kwargs=True) for m in modules]
        try:
            for run in range(RUNS):  # the hook reads it
                seed_everything(setup.seed)
                setup.objective.compute(model, batches[run % len(batches)])
        finally:
            for handle in handles:
                handle.remove()
    return seen
