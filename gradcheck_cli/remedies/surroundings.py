"""What the remedies look at in a profile, read once for all findings on it."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcheck_cli.records import LayerProfile, ParameterProfile, Profile

BOUNDED = ("sigmoid", "tanh", "hardtanh", "hardsigmoid", "softsign", "erf")
_NORMALISING = ("softmax", "log_softmax", "logsoftmax", "softmax2d", "glu")
_ADAPTIVE = ("adam", "rmsprop", "adagrad", "adadelta", "lion", "adafactor", "rprop", "lamb")
# Largest share of its size that a weight may change in one step: chosen by us, ten times the customary 1e-3 (GC106).
_CALM = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """A profile with its layers sorted out; `facts` are those of EVIDENCE that no finding changes.

    `places` and `words` remember what else was derived from the profile alone: models have thousands of layers, scans
    hundreds of findings.
    """

    profile: Profile
    layers: dict[str, LayerProfile]
    ran: tuple[LayerProfile, ...]  # in execution order
    path: frozenset[str]  # names on any spine
    linear: tuple[LayerProfile, ...]  # on the way to the loss, in execution order
    square: tuple[LayerProfile, ...]  # those of them with as many outputs as inputs
    activations: dict[str, tuple[LayerProfile, ...]]  # by function name, in execution order
    fellows: Counter[tuple[str, str]]  # how many layers of a kind and role ran
    facts: dict[str, Any]
    places: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


def surroundings(profile: Profile) -> Surroundings:
    """Sort the layers of a profile out and state what does not depend on the finding."""
    ran = tuple(sorted((x for x in profile.layers if x.calls), key=lambda x: x.order))
    path = frozenset(point.layer for spine in profile.spines for point in spine.points)
    linear = _linear(ran, path)
    activations: dict[str, tuple[LayerProfile, ...]] = {}
    for layer in ran:
        if name := activation_name(layer):
            activations[name] = (*activations.get(name, ()), layer)
    square = _square(profile, linear)
    return Surroundings(
        profile=profile,
        layers={layer.name: layer for layer in reversed(profile.layers)},  # the first of a name wins
        ran=ran,
        path=path,
        linear=linear,
        square=square,
        activations=activations,
        fellows=Counter((x.kind, x.role) for x in ran),
        facts=_facts(profile, ran, linear) | {"square_layers": len(square), "activation": _most_frequent(activations)},
    )


def activation_name(layer: LayerProfile) -> str:
    """Return the function name of an activation layer: the units' own word, else its kind in lower case."""
    if layer.role != "activation":
        return ""
    return layer.units.activation if layer.units else layer.kind.lower()


def _linear(ran: Sequence[LayerProfile], path: frozenset[str]) -> tuple[LayerProfile, ...]:
    """Return the linear and convolution layers on the spines; all of them where no spine names one."""
    linear = tuple(x for x in ran if x.role == "linear")
    return tuple(x for x in linear if x.name in path) or linear


def _square(profile: Profile, linear: Sequence[LayerProfile]) -> tuple[LayerProfile, ...]:
    weights = {p.layer: p.value.shape for p in profile.parameters if p.role == "weight" and len(p.value.shape) > 1}
    return tuple(x for x in linear if x.name in weights and weights[x.name][0] == weights[x.name][1])


def _most_frequent(activations: dict[str, tuple[LayerProfile, ...]]) -> str:
    """Return the most frequent activation that is no softmax, else "none"."""
    counts = {name: len(layers) for name, layers in activations.items() if name not in _NORMALISING}
    return max(counts, key=lambda name: counts[name], default="none")


def _facts(profile: Profile, ran: Sequence[LayerProfile], linear: Sequence[LayerProfile]) -> dict[str, Any]:
    optimizer = profile.optimizer.name if profile.optimizer else "unknown"
    names = {layer.name for layer in linear}
    fans = [p.fan_in for p in profile.parameters if p.fan_in and p.layer in names]
    return {
        "family": _family(profile, ran),
        "depth_linear": len(linear),
        "fan_in": statistics.median(fans) if fans else 0,
        "batch_size": profile.batch_size,
        "has_norm": any(x.role == "norm" for x in ran),
        "has_skip": any(s.bypassed for spine in profile.spines for s in spine.segments),
        "branch_factor": _branch_factor(profile),
        "loss_scale": next((f.loss_scale for f in profile.precision if f.dtype == "float16" and f.loss_scale), 2.0**16),
        "recurrent": bool(profile.times) or any(x.role == "recurrent" for x in ran),
        "optimizer": optimizer,
        "adaptive": any(word in optimizer.lower() for word in _ADAPTIVE),
        "better_lr": _better_lr(profile),
        "clip_norm": _clip_norm(profile.parameters),
        "clip_value": _clip_value(profile.parameters),
        "dtype": profile.dtype.removeprefix("torch."),
        "loss_kind": profile.objective.kind,
        "output_activation": profile.objective.output_activation or "none",
    }


def _family(profile: Profile, ran: Sequence[LayerProfile]) -> str:
    if profile.times or any(x.role == "recurrent" for x in ran):
        return "recurrent"
    linear = [x for x in ran if x.role == "linear"]
    if linear and 2 * sum("Conv" in x.kind and x.kind != "Conv1D" for x in linear) > len(linear):
        return "conv"
    sequence = any(x.role in ("attention", "embedding") for x in ran)
    deep = [x for x in linear if x.output is not None and len(x.output.shape) > 2]
    return "sequence" if sequence or 2 * len(deep) > len(linear) > 0 else "linear"


def _branch_factor(profile: Profile) -> float:
    """Return 1/√L for L residual blocks: their sum then grows by a constant (S. De, S. Smith, 2020, section 4)."""
    blocks = max((sum(s.bypassed for s in spine.segments) for spine in profile.spines), default=0)
    return _rounded(max(blocks, 1) ** -0.5)


def _clip_norm(parameters: Sequence[ParameterProfile]) -> float:
    """Return a norm to clip at: what the whole gradient would have if every parameter had the median norm.

    Half of the parameters are untouched by an explosion at the other end, so the median is the healthy size. Where
    all have exploded, the norm of the weights bounds it: a learning rate of 0.01 then moves them by a hundredth.
    """
    norms = [p.gradient.l2 for p in parameters if p.gradient and 0 < p.gradient.l2 < math.inf]
    weights = math.hypot(*(p.value.l2 for p in parameters if math.isfinite(p.value.l2)))
    typical = statistics.median(norms) * math.sqrt(len(norms)) if norms else 1.0
    return _rounded(min(typical, weights or math.inf))


def _clip_value(parameters: Sequence[ParameterProfile]) -> float:
    """Return the median over the parameters of the largest gradient element, bounded likewise by a typical weight."""
    peaks = [p.gradient.abs_max for p in parameters if p.gradient and 0 < p.gradient.abs_max < math.inf]
    sizes = [p.value.rms for p in parameters if 0 < p.value.rms < math.inf]
    return _rounded(min(statistics.median(peaks) if peaks else 1.0, statistics.median(sizes) if sizes else math.inf))


def _better_lr(profile: Profile) -> float | None:
    """Return the learning rate at which no weight's first update is more than a hundredth of it, None if unknown."""
    ratios = [p.update_ratio for p in profile.parameters if p.update_ratio and p.role in ("weight", "recurrent")]
    if profile.optimizer is None or not profile.optimizer.lr > 0 or not ratios or not max(ratios) < math.inf:
        return None
    return _rounded(profile.optimizer.lr * min(1.0, _CALM / max(ratios)))


def _rounded(value: float) -> float:
    """Keep two digits: the number stands in a person's code."""
    return float(f"{value:.2g}")
