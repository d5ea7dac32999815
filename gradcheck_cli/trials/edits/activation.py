"""Switch activations, modules and functional calls, to another one; `to: identity` takes them out."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence

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
    if not edit.layers:
        raise NotApplicable("no activation is named")
    known = modules_by_name(model)
    numbers: dict[tuple[str, str], set[int]] = defaultdict(set)
    modules: dict[int, str] = {}
    for name in edit.layers:
        if name in known:
            modules.setdefault(id(known[name]), name)
        else:
            owner, kind, number = _operation(name)
            numbers[owner, kind].add(number)
    for name in modules.values():
        _switch_module(setup, name, known, to)
    for owner, _ in numbers:
        if owner in known:
            _no_fast_path(known[owner])
    return _switch_calls(setup, _swaps(setup, numbers, to)) if numbers else setup


def _switch_module(setup: Setup, name: str, known: Mapping[str, nn.Module], to: str) -> None:
    layer = setup.profile.layer(name)
    if layer is not None and layer.calls == 0:
        raise NotApplicable(f"`{name}` is never called")
    become(known[name], to, name)
    for holder in known.values():
        if vars(holder).get("_modules", {}).get("activation") is known[name]:
            _no_fast_path(holder)


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


def _swaps(setup: Setup, numbers: Mapping[tuple[str, str], set[int]], to: str) -> list[tuple[str, SwapActivation]]:
    """Make the rewrite of each owner and kind: of all its calls, if these are all that the scan saw, else of those numbered."""
    seen = defaultdict(set)
    for layer in setup.profile.layers:
        if layer.functional:
            seen[layer.parent or "", layer.kind].add(layer.name)
    swaps: list[tuple[str, SwapActivation]] = []
    some: list[tuple[str, SwapActivation]] = []
    for (owner, kind), wanted in numbers.items():
        everything = seen[owner, kind] == {f"{owner}/{kind}" + (f"#{n}" if n > 1 else "") for n in wanted}
        (swaps if everything else some).append((owner, SwapActivation(kind, to)))
    return swaps + (_numbered(setup, some, numbers) if some else [])


def _numbered(
    setup: Setup, swaps: Sequence[tuple[str, SwapActivation]], numbers: Mapping[tuple[str, str], set[int]]
) -> list[tuple[str, SwapActivation]]:
    """Find which calls the numbers mean: the scan counts the operations that the loss depends on, a forward counts all."""
    model = setup.subject.model
    watches = [(owner, dataclasses.replace(swap, places=frozenset())) for owner, swap in swaps]
    for owner, watch in watches:
        rewrite_in(model, owner, watch)
    try:
        counted = rehearse(setup, lambda r: [[s.place for s in r.in_graph(owner, swap.kind)] for owner, swap in swaps])
    finally:
        for owner, watch in watches:
            withdraw(model, owner, watch)
    made = []
    for (owner, swap), places in zip(swaps, counted, strict=True):
        wanted = numbers[owner, swap.kind]
        if max(wanted) > len(places):
            name = f"{owner}/{swap.kind}#{max(wanted)}"
            raise NotApplicable(f"`{name}` was not found: {len(places)} such calls can be reached that the loss depends on")
        made.append((owner, dataclasses.replace(swap, places=frozenset(places[n - 1] for n in wanted))))
    return made


def _switch_calls(setup: Setup, swaps: Sequence[tuple[str, SwapActivation]]) -> Setup:
    """Put the rewrites in and see each at work on one forward pass. Raises NotApplicable if one finds nothing to replace."""
    model = setup.subject.model
    for owner, swap in swaps:
        rewrite_in(model, owner, swap)
    idle = rehearse(setup, lambda r: [(o, s) for o, s in swaps if not r.replaced(o, s.kind)])
    if idle and all(owner == "" and swap.places is None for owner, swap in idle):
        # a training step that calls the layers one by one, outside any module's forward
        rewrites = tuple(swap for _, swap in idle)
        outside = dataclasses.replace(setup.objective, compute=ScopedLoss(setup.objective.compute, rewrites))
        setup = dataclasses.replace(setup, objective=outside)
        idle = rehearse(setup, lambda r: [("", s) for s in rewrites if not r.replaced(None, s.kind)])
    if idle:
        owner, swap = idle[0]
        where = f"`{owner}`" if owner else "the model's own forward"
        raise NotApplicable(
            f"no call of {swap.kind} in {where} can be replaced: it is made inside one of torch's own functions"
        )
    return setup
