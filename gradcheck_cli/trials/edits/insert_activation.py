"""Apply an activation to the output of layers that have none behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.activations import module_of
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.modules import chosen_modules, free_name
from gradcheck_cli.trials.rehearsal import rehearse


def apply(setup: Setup, edit: Edit) -> Setup:
    """Register the activation as a child of each named layer, and run it on the layer's output by a forward hook.

    The layer keeps its place, type and attributes; the activation has no parameters, so that state keys stay too. Raises
    NotApplicable if a layer's output never passes through it.
    """
    to = str(edit.options.get("to"))
    chosen = chosen_modules(setup.subject.model, edit.layers)
    if not chosen or to == "identity":
        raise NotApplicable("there is nothing to insert")
    inserted = []
    for name, layer in chosen:
        child = free_name(layer, "activation")
        layer.add_module(child, module_of(to).train(layer.training))
        layer.register_forward_hook(_Activate(child))
        inserted.append((name, f"{name}.{child}".removeprefix(".")))
    ran = rehearse(setup, lambda r: {call.name for call in r.capture.calls})
    for name, child in inserted:
        if child not in ran:
            raise NotApplicable(f"`{name}` is used without being called, or returns no tensor")
    return setup


@dataclass(frozen=True)
class _Activate:
    """A forward hook: the output, through the layer's child of this name."""

    child: str

    def __call__(self, layer: nn.Module, _args: Any, output: Any) -> Any:
        return getattr(layer, self.child)(output) if isinstance(output, Tensor) else None
