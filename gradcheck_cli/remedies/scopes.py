"""Turn a scope of the catalogue into the names of layers or parameters, from profile and finding."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck_cli.records import Finding, LayerProfile, ParameterProfile
from gradcheck_cli.remedies.surroundings import Surroundings, activation_name

_SHUT = 1e-3  # RMS of a factor below which it silences what it multiplies: chosen by us


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a scope is resolved from; `roles` are those of the layers that the kind of edit works on."""

    around: Surroundings
    finding: Finding
    facts: Mapping[str, Any]
    roles: tuple[str, ...]

    def named(self) -> list[LayerProfile]:
        """Return the layers that the finding points to and affects, as far as they ran, in execution order."""
        names = dict.fromkeys((self.finding.layer, *self.finding.affected))
        found = [self.around.layers[name] for name in names if name in self.around.layers]
        return sorted((x for x in found if x.calls), key=lambda x: x.order)


def resolve(scope: str, place: Place) -> tuple[str, ...]:
    """Return the names that a scope stands for here, in execution order; empty where there is nothing of the kind."""
    if scope not in _OF_THE_PROFILE:
        return _within_reach(_RESOLVERS[scope](place), place.around)
    if scope not in place.around.places:
        place.around.places[scope] = _within_reach(_OF_THE_PROFILE[scope](place.around), place.around)
    return place.around.places[scope]


def _within_reach(names: Iterable[str], around: Surroundings) -> tuple[str, ...]:
    """Leave out layers that are no part of the model as torch sees it: a copy has others in their place."""
    return tuple(n for n in dict.fromkeys(names) if n not in around.layers or around.layers[n].registered)


def activation_targets(place: Place) -> tuple[str, ...]:
    """Return the layers that apply the activation in question, without the one that makes the output.

    Where the finding names some of them, those; where it blames the activation, or names none, all on the way to the
    loss: beside it a sigmoid is a gate, as a rule.
    """
    around, wanted = place.around, str(place.facts.get("activation"))
    last = _output_activation(around)
    if place.finding.facts.get("blame_role") != "activation":
        own = [x for x in place.named() if activation_name(x) == wanted and x is not last]
        if own:
            return tuple(x.name for x in own)
    key = f"activations {wanted}"
    if key not in around.places:
        found = [x.name for x in around.activations.get(wanted, ()) if x is not last]
        around.places[key] = tuple([name for name in found if name in around.path] or found)
    return around.places[key]


def _output_activation(around: Surroundings) -> LayerProfile | None:
    """Return the layer that makes the output, if that is an activation: the last leaf but views, of the objective's name."""
    wanted = around.profile.objective.output_activation
    last = next((x for x in reversed(around.ran) if x.leaf and x.role != "shape"), None)
    same = last is not None and wanted is not None and wanted in (activation_name(last), last.kind.lower())
    return last if same else None


def _output(around: Surroundings) -> list[str]:
    last = _output_activation(around)
    return [last.name] if last else []


def _linear(around: Surroundings) -> list[str]:
    layers = [x.name for x in around.ran if x.role == "linear"]
    return layers or [p.name for p in around.profile.parameters if p.role == "weight" and len(p.value.shape) > 1]


def _hidden(around: Surroundings) -> list[str]:
    """A norm behind the output, or behind a layer whose sum with something else is what the activation sees, is wrong.

    The order of calls is known by first calls only: where one activation serves several layers, all but the last count.
    """
    last = _output_activation(around)
    followed: list[LayerProfile] = []
    pending: LayerProfile | None = None
    for layer in (x for x in around.ran if x.leaf and x.role != "shape"):
        if pending is not None and layer.role == "activation" and layer is not last:
            if layer.calls > pending.calls:
                return [x.name for x in around.linear[:-1]]
            followed.append(pending)
        pending = layer if layer.role == "linear" else None
    on_the_way = {x.name for x in around.linear}
    hidden = [x.name for x in followed if x.name in on_the_way]
    return hidden or [x.name for x in around.linear[:-1]]


def _branch_ends(around: Surroundings) -> list[str]:
    """What follows is told from the order of calls; an attention's projections may count as well."""
    leaves = [x for x in around.ran if x.leaf and x.role != "shape"]
    beside = [(x, after) for x, after in itertools.pairwise(leaves) if x.role == "linear" and x.name not in around.path]
    return [x.name for x, after in beside if after.role != "activation" or _ends_block(around, x, after)]


def _ends_block(around: Surroundings, layer: LayerProfile, after: LayerProfile) -> bool:
    """Say whether a module around the layer, itself on the way to the loss, is done before what runs next."""
    parts = layer.name.split(".")
    blocks = (around.layers.get(".".join(parts[:n])) for n in range(1, len(parts)))
    return any(b is not None and b.name in around.path and layer.order < b.order < after.order for b in blocks)


def _named_of_roles(place: Place) -> list[str]:
    return [x.name for x in place.named() if x.role in place.roles]


def _before(place: Place) -> list[str]:
    """The nearest layer of a fitting role that ran before each layer that the finding names."""
    leaves = [x for x in place.around.ran if x.leaf and x.role in place.roles]
    found = []
    for layer in place.named():
        earlier = [x for x in leaves if x.order < layer.order]
        found += [x.name for x in earlier[-1:]]
    return found


def _chain(place: Place) -> list[str]:
    """Finding GC406 is at the second layer; `affected` holds the first and whatever follows the second."""
    first, *rest = place.finding.affected or ("",)
    return [first, place.finding.layer, *rest][:-1]


def _parameters(place: Place) -> list[str]:
    """The parameter of the finding, and those of the affected layers that share its flaw."""
    finding, parameters = place.finding, place.around.profile.parameters
    first = next((p for p in parameters if p.name == finding.parameter), None)
    if first is None:
        return []
    owners = {finding.layer, *finding.affected}
    alike = [p for p in parameters if p.layer in owners and p.role == first.role and _flaws(p) == _flaws(first)]
    return [first.name, *(p.name for p in alike)] if any(_flaws(first)) else [first.name]


def _flaws(parameter: ParameterProfile) -> tuple[bool, bool]:
    return parameter.identical_units, parameter.value.nonfinite > 0


def _recurrent_weights(place: Place) -> list[str]:
    """State-to-state matrices; in a loop written by hand, the square ones."""
    inside = [p for p in place.around.profile.parameters if _within(p.layer, place.finding.layer) and p.state != "frozen"]
    known = [p.name for p in inside if p.role == "recurrent"]
    square = [p for p in inside if p.role == "weight" and len(p.value.shape) == 2 and p.value.shape[0] == p.value.shape[1]]
    return known or [p.name for p in square]


def _within(name: str, owner: str) -> bool:
    return not owner or name == owner or name.startswith(f"{owner}.")


def _owners(place: Place) -> list[str]:
    """Where the finding is about no layer, every module that calls others and ran; the cut may be in any of them."""
    if not place.finding.layer and not place.finding.affected:
        return ["", *(x.name for x in place.around.ran if not x.leaf)]
    found = []
    for name in (place.finding.layer, *place.finding.affected):
        parts = name.partition("/")[0].split(".")
        found += [".".join(parts[:n]) for n in range(len(parts), -1, -1)]
    return found


def _gates(place: Place) -> list[str]:
    """Factors that are shut, and weights that start at zero, in layers that ran no earlier than the first starved one."""
    start = min((x.order for x in place.named()), default=0)
    orders = {name: layer.order for name, layer in place.around.layers.items()}
    return [p.name for p in place.around.profile.parameters if _is_shut(p) and orders.get(p.layer, start) >= start]


def _is_shut(parameter: ParameterProfile) -> bool:
    if parameter.state == "frozen" or parameter.role in ("bias", "embedding", "recurrent"):
        return False
    limit = 0.0 if parameter.role == "weight" else _SHUT
    return parameter.value.rms <= limit


_OF_THE_PROFILE: Mapping[str, Callable[[Surroundings], Sequence[str]]] = {
    "output activation": _output,
    "linear": _linear,
    "hidden linear": _hidden,
    "branch ends": _branch_ends,
    "output layer": lambda around: [x.name for x in around.linear[-1:]],
    "square": lambda around: [x.name for x in around.square if x is not around.linear[-1]],
}
_RESOLVERS: Mapping[str, Callable[[Place], Sequence[str]]] = {
    "model": lambda _: (),
    "activations": activation_targets,
    "chain": _chain,
    "layer": _named_of_roles,
    "before": _before,
    "parameter": _parameters,
    "recurrent": lambda place: (place.finding.layer,),
    "recurrent weights": _recurrent_weights,
    "owner": lambda place: (place.finding.layer,),
    "owners": _owners,
    "gates": _gates,
}
