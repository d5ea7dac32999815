"""Turn captured calls, taps and operations into LayerProfiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from gradcheck_cli.probing.calls import Call
from gradcheck_cli.probing.capture import Capture
from gradcheck_cli.probing.forward import ForwardObserver, LayerForward
from gradcheck_cli.probing.graph import Graph, Node
from gradcheck_cli.probing.kinds import VIEW_NODES, node_name, role_of
from gradcheck_cli.probing.spine import Operation, SpinePlan
from gradcheck_cli.probing.summary import Summary
from gradcheck_cli.records import LayerProfile, ParameterProfile, SourceSite, State


def build_layers(
    model: nn.Module,
    capture: Capture,
    observer: ForwardObserver,
    plan: SpinePlan,
    functional: Mapping[Node, LayerForward],
    sites: Mapping[str, SourceSite],
) -> tuple[LayerProfile, ...]:
    """One LayerProfile a module and a functional activation, in execution order; uncalled modules come last."""
    rows: list[tuple[tuple[float, int], dict[str, Any]]] = []  # with the place in time at which each is done
    gradients = _gradients(capture)
    by_name: dict[str, list[Call]] = {}
    for call in capture.calls:
        by_name.setdefault(call.name, []).append(call)
    parents = {call.parent for call in capture.calls}  # a linear layer with a child that a hook runs behind it is still a leaf
    for name, calls in by_name.items():
        first = next((c for c in calls if not c.recompute), calls[0])
        counted = [c for c in calls if not c.recompute] or calls
        done = (first.last or 0) - 0.5, first.rank  # between its last node and the next one
        fields = _module_row(name, first.module, counted, gradients.get(name), observer, sites)
        fields["leaf"] |= fields["role"] == "linear" and not any(call in parents for call in calls)
        rows.append((done, fields))
    for node, forward in functional.items():
        operation = plan.operations[node]
        rows.append(((node._sequence_nr(), 0), _operation_row(operation, capture.gradient_at(node), forward, sites)))
    rows.sort(key=lambda row: row[0])
    for module in model.modules():
        known = capture.names.get(id(module))  # None: registered by the forward pass itself, and never called
        if known is not None and known not in by_name:
            by_name[known] = []
            rows.append(((0, 0), _module_row(known, module, [], None, observer, sites)))
    registered = {capture.names[id(m)] for m in model.modules() if id(m) in capture.names}
    for _, fields in rows:
        trainable = fields["parameters"] and fields["state"] == "measured" and not fields.get("functional", False)
        fields["registered"] = not trainable or fields["name"] in registered
    aliases = _aliases(model)
    merged: dict[str, LayerProfile] = {}
    for _, fields in rows:
        if fields["name"] in merged:  # a functional operation of a module that is called several times
            merged[fields["name"]] = _join(merged[fields["name"]], fields)
        else:
            merged[fields["name"]] = LayerProfile(order=len(merged), aliases=aliases.get(fields["name"], ()), **fields)
    return tuple(merged.values())


def _gradients(capture: Capture) -> dict[str, Summary]:
    """The gradient of each layer's output, calls and leaves combined."""
    combined: dict[str, Summary] = {}
    for tap in capture.taps.values():
        if tap.gradient is None:
            continue
        for name in dict.fromkeys(call.name for call, _ in tap.calls):
            combined.setdefault(name, Summary()).add(tap.gradient)
    return combined


def _module_row(
    name: str,
    module: nn.Module,
    calls: list[Call],
    gradient: Summary | None,
    observer: ForwardObserver,
    sites: Mapping[str, SourceSite],
) -> dict[str, Any]:
    forward = observer.layers.get(name, LayerForward())
    parameters = list(module.named_parameters(recurse=False))
    return {
        "name": name,
        "kind": type(module).__name__,
        "role": role_of(module),
        "calls": len(calls),
        "state": _state(module, calls, gradient),
        "leaf": not any(True for _ in module.children()),
        "site": sites.get(name),
        "output": forward.output.to_stats() if forward.output else None,
        "gradient": gradient.to_stats() if gradient else None,
        "parameters": tuple(f"{name}.{p}" if name else p for p, _ in parameters),
        "units": forward.units,
        "sample_variation": forward.variation,
        "mode": "train" if module.training else "eval",
        "facts": forward.facts,
    }


def _state(module: nn.Module, calls: list[Call], gradient: Summary | None) -> State:
    if gradient is not None:
        return "measured"
    if not calls:
        return "uncalled"
    parameters = list(module.parameters())
    return "frozen" if parameters and not any(p.requires_grad for p in parameters) else "unreached"


def _operation_row(
    operation: Operation, gradient: Summary | None, forward: LayerForward, sites: Mapping[str, SourceSite]
) -> dict[str, Any]:
    owner = operation.owner.name if operation.owner else ""
    site = sites.get(owner)
    return {
        "name": operation.name,
        "kind": operation.kind,
        "parameters": (),
        "role": operation.role,
        "calls": 1,
        "state": "measured" if gradient is not None else "unreached",
        "leaf": True,
        "functional": True,
        "parent": owner,
        "site": None if site is None else SourceSite(file=site.file, line=site.line, exact=False),
        "output": forward.output.to_stats() if forward.output else None,
        "gradient": gradient.to_stats() if gradient else None,
        "units": forward.units,
    }


def _join(layer: LayerProfile, fields: dict[str, Any]) -> LayerProfile:
    """Count a further call of the same functional operation; the figures of the first call stay."""
    values = {name: getattr(layer, name) for name in LayerProfile.__dataclass_fields__}
    values["calls"] += fields["calls"]
    return LayerProfile(**values)


def _aliases(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Further names of modules that are registered more than once."""
    first: dict[int, str] = {}
    more: dict[str, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if id(module) in first:
            more.setdefault(first[id(module)], []).append(name)
        else:
            first[id(module)] = name
    return {name: tuple(names) for name, names in more.items()}


def edited_views(capture: Capture, graph: Graph) -> set[str]:
    """Names of layers that return a view which was then edited in place: autograd replaces the view's node by another."""
    outside = [tap for tap in capture.taps.values() if tap.node not in graph.position]
    if not outside:
        return set()
    edited = {base for node in graph.order if node_name(node) == "copyslices" for base in graph.successors[node]}
    names: set[str] = set()
    for tap in outside:
        node: Node | None = tap.node
        while node is not None and node not in edited and node_name(node) in VIEW_NODES:
            node = node.next_functions[0][0]
        if node in edited:
            names.update(call.name for call, _ in tap.calls)
    return names


def without_overwritten(
    layers: tuple[LayerProfile, ...], parameters: tuple[ParameterProfile, ...], in_graph: set[str], edited: set[str]
) -> tuple[tuple[LayerProfile, ...], list[str]]:
    """Tell layers whose output was overwritten in place from unreached ones.

    They are those in `edited`, and those whose parameters get a gradient though their output is not in the graph.
    """
    learning = {"", *edited}  # also names of modules that hold, or whose children hold, a parameter with a gradient
    for p in parameters:
        if p.gradient is not None:
            parts = p.layer.split(".")
            learning.update(".".join(parts[:n]) for n in range(1, len(parts) + 1))
    reached, gaps = [], []
    for layer in layers:
        if layer.state == "unreached" and layer.name in learning and layer.name not in in_graph:
            layer = replace(layer, state="measured")
            if layer.leaf:
                gaps.append(
                    f"the gradient at `{layer.name}` is not observable: its output is edited in place or used as plain data"
                )
        reached.append(layer)
    return tuple(reached), gaps
