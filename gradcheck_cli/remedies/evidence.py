"""What the profile says of a finding's surroundings: the facts that a remedy's `when` may ask for, beside the finding's own."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Any

from gradcheck_cli.records import Finding, LayerProfile, Profile

EVIDENCE: Mapping[str, str] = {
    "activation": "activation that most layers on the way to the loss use, lower-case; none",
    "bounded": "whether that activation is bounded (sigmoid, tanh and their kin)",
    "family": "conv, sequence, recurrent or linear: what most of the network works on",
    "depth_linear": "linear and convolution layers on the way from input to loss",
    "square_layers": "how many of them have as many outputs as inputs, so that a skip connection fits",
    "fan_in": "median fan-in of their weights",
    "batch_size": "samples in the batch",
    "has_norm": "whether any normalisation ran",
    "has_skip": "whether the way to the loss has bypassed blocks",
    "recurrent": "whether a recurrent layer ran",
    "optimizer": "class name of the optimizer, unknown when none was found",
    "adaptive": "whether the optimizer scales each step by the gradient's size (Adam and its kin)",
    "dtype": "floating-point type that the model computes in",
    "loss_kind": "kind of the objective",
    "severity": "severity of the finding",
}
_BOUNDED = ("sigmoid", "tanh", "hardtanh", "hardsigmoid", "softsign", "erf")
_NORMALISING = ("softmax", "log_softmax", "logsoftmax", "softmax2d", "glu")
_ADAPTIVE = ("adam", "rmsprop", "adagrad", "adadelta", "lion", "adafactor", "rprop", "lamb")


def evidence(profile: Profile, finding: Finding) -> dict[str, Any]:
    """Return the facts of EVIDENCE for a finding; the finding's own facts win where both name one."""
    activation = dominant_activation(profile, finding)
    optimizer = profile.optimizer.name if profile.optimizer else "unknown"
    linear = linear_layers(profile)
    names = {layer.name for layer in linear}
    fans = [p.fan_in for p in profile.parameters if p.fan_in and p.layer in names]
    found = {
        "activation": activation,
        "bounded": activation in _BOUNDED,
        "family": _family(profile),
        "depth_linear": len(linear),
        "square_layers": len(square_layers(profile)),
        "fan_in": statistics.median(fans) if fans else 0,
        "batch_size": profile.batch_size,
        "has_norm": any(x.role == "norm" and x.calls for x in profile.layers),
        "has_skip": any(s.bypassed for spine in profile.spines for s in spine.segments),
        "recurrent": bool(profile.times) or any(x.role == "recurrent" and x.calls for x in profile.layers),
        "optimizer": optimizer,
        "adaptive": any(word in optimizer.lower() for word in _ADAPTIVE),
        "dtype": profile.dtype.removeprefix("torch."),
        "loss_kind": profile.objective.kind,
        "severity": finding.severity,
    }
    return found | dict(finding.facts)


def activation_layers(profile: Profile, kind: str) -> list[LayerProfile]:
    """Return the layers and functional operations that apply this activation, in execution order."""
    return sorted((x for x in profile.layers if activation_name(x) == kind and x.calls), key=lambda x: x.order)


def activation_name(layer: LayerProfile) -> str:
    """Return the function name of an activation layer: the units' own word, else its kind in lower case."""
    if layer.role != "activation":
        return ""
    return layer.units.activation if layer.units else layer.kind.lower()


def linear_layers(profile: Profile) -> list[LayerProfile]:
    """Return the linear and convolution layers on the spines, in execution order; all of them where no spine names one."""
    path = {point.layer for spine in profile.spines for point in spine.points}
    linear = sorted((x for x in profile.layers if x.role == "linear" and x.calls), key=lambda x: x.order)
    return [x for x in linear if x.name in path] or linear


def square_layers(profile: Profile) -> list[LayerProfile]:
    """Return the linear layers on the way to the loss whose input and output widths agree."""
    weights = {p.layer: p.value.shape for p in profile.parameters if p.role == "weight" and len(p.value.shape) > 1}
    return [x for x in linear_layers(profile) if x.name in weights and weights[x.name][0] == weights[x.name][1]]


def dominant_activation(profile: Profile, finding: Finding) -> str:
    """Return the blamed activation, else the most frequent one that is no softmax, else "none"."""
    if finding.facts.get("blame_role") == "activation":
        blamed = set(finding.facts.get("blame_layers") or ())
        names = [activation_name(x) for x in profile.layers if x.name in blamed]
        return names[0] if names else str(finding.facts.get("blame_kind", "none"))
    counts = Counter(n for x in profile.layers if x.calls and (n := activation_name(x)) and n not in _NORMALISING)
    return counts.most_common(1)[0][0] if counts else "none"


def _family(profile: Profile) -> str:
    ran = [x for x in profile.layers if x.calls]
    if profile.times or any(x.role == "recurrent" for x in ran):
        return "recurrent"
    linear = [x for x in ran if x.role == "linear"]
    if linear and 2 * sum("Conv" in x.kind and x.kind != "Conv1D" for x in linear) > len(linear):
        return "conv"
    sequence = any(x.role in ("attention", "embedding") for x in ran)
    deep = [x for x in linear if x.output is not None and len(x.output.shape) > 2]
    return "sequence" if sequence or 2 * len(deep) > len(linear) > 0 else "linear"


def clip_threshold(profile: Profile) -> float:
    """Return a norm to clip at: what the whole gradient would have if every parameter had the median norm.

    Half of the parameters are untouched by an explosion at the other end, so the median is the healthy size.
    """
    norms = [p.gradient.l2 for p in profile.parameters if p.gradient and 0 < p.gradient.l2 < math.inf]
    return statistics.median(norms) * math.sqrt(len(norms)) if norms else 1.0


def clip_value(profile: Profile) -> float:
    """Return the median over the parameters of the largest gradient element."""
    peaks = [p.gradient.abs_max for p in profile.parameters if p.gradient and 0 < p.gradient.abs_max < math.inf]
    return statistics.median(peaks) if peaks else 1.0
