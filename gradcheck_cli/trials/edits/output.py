"""Make the end of the model and the loss fit: take the last activation away, change the loss, or both."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from gradcheck_cli.loading.base import Batch, Outcome
from gradcheck_cli.probing.calls import Ownership
from gradcheck_cli.probing.graph import Graph
from gradcheck_cli.probing.kinds import PASS_NODES, activation_node, activation_of, node_name
from gradcheck_cli.probing.objective import main_output
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.activations import SwapActivation, become
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.losses import LOSSES, exchange_loss
from gradcheck_cli.trials.modules import modules_by_name
from gradcheck_cli.trials.rehearsal import Rehearsal, rehearse
from gradcheck_cli.trials.scoped import rewrite_in, withdraw

_MANY_CLASSES = 1000  # targets beyond this are no classes: chosen by us, ImageNet has as many


def apply(setup: Setup, edit: Edit) -> Setup:
    """Change the loss, then drop the last activation, and give a classifier with one unit one for each class.

    Raises NotApplicable if nothing can be dropped or exchanged.
    """
    loss, drop = edit.options.get("loss"), bool(edit.options.get("drop"))
    if loss is None and not drop:
        raise NotApplicable("the edit names neither a loss nor an activation to drop")
    if loss is not None and loss not in LOSSES:
        raise NotApplicable(f"`{loss}` is no loss to change to")
    classes = _missing_classes(setup) if loss == "cross_entropy" else None
    if classes is not None:
        alone = dataclasses.replace(setup, objective=dataclasses.replace(setup.objective, compute=_without_loss))
        _drop(alone, required=False)
        _widen(alone, classes)
    if classes is not None and setup.objective.kind == loss:
        setup = dataclasses.replace(setup, new_loss_scale=True)
    elif loss is not None:
        setup = exchange_loss(setup, str(loss))
    if drop and classes is None:
        _drop(setup, required=loss is None)
    if loss is not None:
        rehearse(setup, lambda _: None)
    return setup


def _missing_classes(setup: Setup) -> int | None:
    """How many classes the targets name, if the output has one unit only; None if it has more."""
    if setup.profile.objective.output_units != 1:
        return None
    targets = [b.target for b in setup.subject.batches if isinstance(b.target, Tensor) and b.target.numel()]
    if not targets or any(bool((t != t.round()).any()) or bool((t < 0).any()) for t in targets):
        raise NotApplicable("the targets are not numbers of classes")
    classes = max(2, int(max(t.max() for t in targets)) + 1)
    if classes > _MANY_CLASSES:
        raise NotApplicable(f"targets up to {classes - 1} are hardly classes")
    return classes


def _without_loss(model: nn.Module, batch: Batch) -> Outcome:
    """Run the model alone: its old loss may refuse the targets that the new one is for."""
    output = model(*batch.args, **batch.kwargs)
    main = main_output(output)
    if main is None:
        raise NotApplicable("the model's output is not part of the graph")
    return Outcome(loss=main.mean(), output=output, target=batch.target)


@dataclass(frozen=True, slots=True)
class _End:
    """The operation that makes the model's output, behind reshapes: its kind if it is an activation, and whose it is."""

    kind: str | None
    owner: str
    inner: bool  # another call of the owner feeds later layers, so that what happens in it happens in between too
    places: frozenset[int]  # where a rewrite of the owner counts it


def _end_of(rehearsal: Rehearsal) -> _End:
    output = main_output(rehearsal.outcome.output)
    if output is None or not output.requires_grad:
        raise NotApplicable("the model's output is not part of the graph")
    node: Any = get_gradient_edge(output).node
    while activation_node(node) is None and node_name(node) in PASS_NODES | {"select", "slice"} and node.next_functions:
        node = node.next_functions[0][0]
    calls = rehearsal.capture.calls
    call = Ownership(calls).owner(node)
    name = call.name if call else ""
    places = frozenset(s.place for s in rehearsal.seen if s.node is node)
    ends = [tap.node for tap in rehearsal.capture.taps.values() if any(c.name == name for c, _ in tap.calls)]
    ends += [s.node for s in rehearsal.seen if s.owner == name and s.place in places]
    return _End(activation_node(node), name, any(_feeds_a_layer(rehearsal.graph, n) for n in ends), places)


def _feeds_a_layer(graph: Graph, node: Any) -> bool:
    """Say whether a parameter enters on the way from the node to the loss."""
    todo, passed = list(graph.predecessors.get(node, ())), set()
    while todo:
        node = todo.pop()
        if node in passed:
            continue
        passed.add(node)
        for source in graph.successors.get(node, ()):
            while node_name(source) in PASS_NODES and len(graph.successors.get(source, ())) == 1:
                source = graph.successors[source][0]
            if "accumulategrad" in node_name(source):
                return True
        todo += graph.predecessors.get(node, ())
    return False


def _drop(setup: Setup, *, required: bool) -> None:
    """Take the last activation away, a module or a call."""
    model, end = setup.subject.model, rehearse(setup, _end_of)
    if end.kind is None:
        if required:
            raise NotApplicable("the model does not end in an activation")
        return
    module = modules_by_name(model).get(end.owner)
    if module is not None and activation_of(module) is not None:
        if end.inner:
            raise NotApplicable(f"`{end.owner}` is called before the end too")
        become(module, "identity", end.owner)
        return
    watch = SwapActivation(end.kind, "identity", frozenset())
    rewrite_in(model, end.owner, watch)
    end = rehearse(setup, _end_of)
    withdraw(model, end.owner, watch)
    if end.inner:
        raise NotApplicable(f"`{end.owner}`, which makes the {end.kind} at the end, is called before the end too")
    swap = SwapActivation(watch.kind, "identity", end.places)
    rewrite_in(model, end.owner, swap)
    if not rehearse(setup, lambda r: r.replaced(end.owner, swap.kind)):
        withdraw(model, end.owner, swap)
        raise NotApplicable(f"the {end.kind} at the end is made where it cannot be taken away")


def _widen(setup: Setup, classes: int) -> None:
    """Give the linear layer that makes the output one unit for each class, drawn as torch draws a new layer."""
    end = rehearse(setup, _end_of)
    head = modules_by_name(setup.subject.model).get(end.owner)
    if type(head) is not nn.Linear or head.out_features != 1:
        raise NotApplicable("the output is not made by a linear layer with one unit, so that no other head can take its place")
    generator = torch.Generator().manual_seed(setup.seed)
    bound = 1.0 / math.sqrt(head.in_features)
    for name, shape in (("weight", (classes, head.in_features)), ("bias", (classes,))):
        old = getattr(head, name)
        if old is not None:
            drawn = torch.rand(shape, generator=generator) * (2 * bound) - bound
            setattr(head, name, nn.Parameter(drawn.to(old), requires_grad=old.requires_grad))
    head.out_features = classes
