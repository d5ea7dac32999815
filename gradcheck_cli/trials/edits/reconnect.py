"""Let the gradient through where a forward cuts it off: `.detach()`, `.data` and `torch.no_grad()` change nothing any more."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.modules import modules_by_name
from gradcheck_cli.trials.rehearsal import Rehearsal, rehearse
from gradcheck_cli.trials.scoped import Call, ScopedLoss, rewrite_in, withdraw

_KIND = "cut"


def apply(setup: Setup, edit: Edit) -> Setup:
    """Undo the cuts in the named modules; if their forwards have none, in those around them, at last in the loss.

    A layer that gets no gradient is rarely the one that cuts it off: `self.text(x).detach()` stands in its parent's forward.
    Raises NotApplicable unless the loss then reaches parameters that it did not.
    """
    model, rewrite = setup.subject.model, Reconnect()
    before = rehearse(setup, Rehearsal.reached)
    reason = "there is no `.detach()`, `.data` or `torch.no_grad()` on the way that could be undone"
    for owners in _widening(model, edit.layers or ("",)):
        for owner in owners:
            rewrite_in(model, owner, rewrite)
        try:
            if rehearse(setup, Rehearsal.reached) - before:
                return setup
        except NotApplicable as error:
            reason = str(error)
        for owner in owners:
            withdraw(model, owner, rewrite)
    outside = dataclasses.replace(setup.objective, compute=ScopedLoss(setup.objective.compute, (rewrite,)))
    edited = dataclasses.replace(setup, objective=outside)
    if rehearse(edited, Rehearsal.reached) - before:
        return edited
    raise NotApplicable(reason)


@dataclass(frozen=True)
class Reconnect:
    """Rewrite that hands a tensor on where its graph would be cut."""

    places: frozenset[int] | None = None

    def kind_of(self, call: Call) -> str | None:
        x = call.subject
        if call.name == "set_grad_enabled":
            return _KIND if x is False else None
        # `.data` of a parameter is mostly for writing into it, which autograd would refuse
        cuts = (
            isinstance(x, Tensor) and x.requires_grad and (call.name == "detach" or (call.name == "get_data" and not x.is_leaf))
        )
        return _KIND if cuts else None

    def replace(self, call: Call) -> Any:
        return call.func(True) if call.name == "set_grad_enabled" else call.subject


def _widening(model: nn.Module, layers: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the named modules, then their parents, and so on to the root, which is yielded last."""
    known, level = modules_by_name(model), tuple(dict.fromkeys(layers))
    for name in level:
        if name not in known:
            raise NotApplicable(f"`{name}` is no module of the model")
    while True:
        yield level
        if level == ("",):
            return
        level = tuple(dict.fromkeys(name.rpartition(".")[0] for name in level))
