"""Switch activations, modules and functional calls, to another one; `to: identity` takes them out."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable

from torch import nn

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.activations import SwapActivation, become, function_of
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.modules import modules_by_name
from gradcheck_cli.trials.rehearsal import rehearse
from gradcheck_cli.trials.scoped import ScopedLoss, rewrite_in, withdraw

_UNCHANGEABLE = ("glu", "softmax", "log_softmax")  # no function of one value


def apply(setup: Setup, edit: Edit) -> Setup:
    """Switch the named activations. Raises NotApplicable if one of them cannot be, or turns out not to be called."""
    to, model = str(edit.options.get("to")), setup.subject.model
    function_of(to)
    known = modules_by_name(model)
    functional: dict[tuple[str, str], set[int]] = defaultdict(set)
    for name in edit.layers:
        if name in known:
            layer = setup.profile.layer(name)
            if layer is not None and layer.calls == 0:
                raise NotApplicable(f"`{name}` is never called")
        else:
            owner, kind, number = _operation(name)
            functional[owner, kind].add(number)
    if not edit.layers:
        raise NotApplicable("no activation is named")
    for name, module in {id(known[n]): (n, known[n]) for n in edit.layers if n in known}.values():
        become(module, to, name)
        for holder in known.values():
            if vars(holder).get("_modules", {}).get("activation") is module:
                _no_fast_path(holder)
    for (owner, kind), numbers in functional.items():
        setup = _switch_calls(setup, owner, SwapActivation(kind, to), numbers)
        if owner in known:
            _no_fast_path(known[owner])
    return setup


def _operation(name: str) -> tuple[str, str, int]:
    """Split "owner/relu#2" into owner, kind and number. Raises NotApplicable for a name that is no operation's."""
    owner, slash, operation = name.rpartition("/")
    kind, _, number = operation.partition("#")
    if not slash or (number and not number.isdigit()):
        raise NotApplicable(f"`{name}` is no layer of the model")
    if kind in _UNCHANGEABLE:
        raise NotApplicable(f"`{name}` is not elementwise and has no counterpart")
    return owner, kind, int(number or 1)


def _no_fast_path(layer: nn.Module) -> None:
    """Keep nn.TransformerEncoderLayer from its fused inference, which knows ReLU and GELU only and reads this flag."""
    if isinstance(layer, nn.TransformerEncoderLayer):
        layer.activation_relu_or_gelu = 0


def _switch_calls(setup: Setup, owner: str, swap: SwapActivation, numbers: Iterable[int]) -> Setup:
    """Replace the numbered calls of the kind in the owner's forward, or all if these are all that the scan saw."""
    model, wanted = setup.subject.model, set(numbers)
    known = {x.name for x in setup.profile.layers if x.functional and x.parent == owner and x.kind == swap.kind}
    if known != {f"{owner}/{swap.kind}" + (f"#{n}" if n > 1 else "") for n in wanted}:
        swap = dataclasses.replace(swap, places=_places(setup, owner, swap, wanted))
    rewrite_in(model, owner, swap)
    if rehearse(setup, lambda r: r.replaced(owner, swap.kind)):
        return setup
    withdraw(model, owner, swap)
    if owner == "" and swap.places is None:  # a training step that calls the layers one by one, outside any module's forward
        outside = dataclasses.replace(setup.objective, compute=ScopedLoss(setup.objective.compute, (swap,)))
        edited = dataclasses.replace(setup, objective=outside)
        if rehearse(edited, lambda r: r.replaced(None, swap.kind)):
            return edited
    where = f"`{owner}`" if owner else "the model's own forward"
    raise NotApplicable(f"no call of {swap.kind} in {where} can be replaced: it is made inside one of torch's own functions")


def _places(setup: Setup, owner: str, swap: SwapActivation, numbers: set[int]) -> frozenset[int]:
    """Find which calls the numbers mean: the scan counts the operations that the loss depends on, a forward counts all."""
    model, watch = setup.subject.model, dataclasses.replace(swap, places=frozenset())
    rewrite_in(model, owner, watch)
    try:
        places = rehearse(setup, lambda r: [s.place for s in r.in_graph(owner, swap.kind)])
    finally:
        withdraw(model, owner, watch)
    if max(numbers) > len(places):
        raise NotApplicable(
            f"`{owner}/{swap.kind}#{max(numbers)}` was not found among {len(places)} calls that the loss depends on"
        )
    return frozenset(places[n - 1] for n in numbers)
