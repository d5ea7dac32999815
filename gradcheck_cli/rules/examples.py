"""Small Profiles without torch: what FIRES and CLEAN of the rule files and the tests are made of."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

from gradcheck_cli.records import (
    InputProfile,
    LayerProfile,
    ObjectiveProfile,
    ParameterProfile,
    Profile,
    Role,
    Segment,
    Spine,
    SpinePoint,
    TensorStats,
    UnitFacts,
)

_ROLES: dict[str, Role] = {
    "Linear": "linear", "Conv1d": "linear", "Conv2d": "linear", "ConvTranspose2d": "linear",
    "BatchNorm1d": "norm", "BatchNorm2d": "norm", "LayerNorm": "norm", "GroupNorm": "norm", "InstanceNorm2d": "norm",
    "RNN": "recurrent", "LSTM": "recurrent", "GRU": "recurrent", "Embedding": "embedding",
    "MultiheadAttention": "attention", "Sequential": "container", "Flatten": "shape", "MaxPool2d": "shape",
    "Dropout": "shape", "AdaptiveAvgPool2d": "shape", "Identity": "shape",
}  # fmt: skip
_ACTIVATIONS = {"relu", "leakyrelu", "sigmoid", "tanh", "gelu", "silu", "elu", "selu", "softmax", "hardsigmoid"}


def stats_of(rms: float = 1.0, shape: Sequence[int] = (16, 32), **fields: Any) -> TensorStats:
    """Return the numbers of a made-up tensor: RMS `rms`, peak four times that."""
    numel = math.prod(shape)
    values: dict[str, Any] = {"dtype": "float32", "abs_max": 4 * rms, "mean": 0.0, "zero_fraction": float(rms == 0.0)}
    values |= {"nonfinite": 0, "l2": rms * math.sqrt(numel)}
    return TensorStats(shape=tuple(shape), numel=numel, rms=rms, **(values | fields))


def layer_of(
    name: str, kind: str = "Linear", *, rms: float = 1.0, gradient: float | None = 0.01, **fields: Any
) -> LayerProfile:
    """Return a leaf layer whose output has RMS `rms` and whose gradient has RMS `gradient` (None: none arrived)."""
    shape = fields.pop("shape", (16, 32))
    role = "activation" if kind.lower() in _ACTIVATIONS else _ROLES.get(kind, "other")
    values: dict[str, Any] = {"role": role, "order": -1, "calls": 1, "leaf": role != "container"}
    values |= {"state": "unreached" if gradient is None else "measured", "output": stats_of(rms, shape)}
    values |= {"gradient": None if gradient is None else stats_of(gradient, shape)}
    return LayerProfile(name=name, kind=kind, **(values | fields))


def units_of(activation: str, *, dead: float = 0.0, saturated: float | None = None, **fields: Any) -> UnitFacts:
    """Return the facts of 32 units of an activation, `saturated` of them flat for almost every sample."""
    values: dict[str, Any] = {"units": 32, "saturated_fraction": saturated, "saturated_units": saturated}
    return UnitFacts(activation=activation, dead_fraction=dead, **(values | fields))


def parameter_of(name: str, *, rms: float | None = None, gradient: float | None = 0.01, **fields: Any) -> ParameterProfile:
    """Return a parameter of the layer that its name says; `rms` is 1/√fan-in unless given."""
    shape = tuple(fields.pop("shape", (32, 32)))
    matrix = len(shape) > 1
    fan_in = math.prod(shape[1:]) if matrix else None
    rms = (fan_in or 100) ** -0.5 if rms is None else rms
    values: dict[str, Any] = {"layer": name.rpartition(".")[0], "layer_kind": "Linear", "fan_in": fan_in}
    values |= {"role": "weight" if matrix else "bias", "fan_out": shape[0] if matrix else None}
    values |= {"state": "unreached" if gradient is None else "measured", "value": stats_of(rms, shape)}
    values |= {"gradient": None if gradient is None else stats_of(gradient, shape)}
    return ParameterProfile(name=name, **(values | fields))


def objective_of(kind: str = "cross_entropy", **fields: Any) -> ObjectiveProfile:
    """Return an objective of the given kind with an ordinary value."""
    values: dict[str, Any] = {"name": "loss", "origin": "found: loss_fn", "value": 2.3}
    return ObjectiveProfile(kind=kind, **(values | fields))


def input_of(name: str = "x", *, rms: float = 1.0, **fields: Any) -> InputProfile:
    """Return a floating input of mean zero."""
    shape = fields.pop("shape", (16, 32))
    values: dict[str, Any] = {"stats": stats_of(rms, shape), "std": rms, "floating": True}
    return InputProfile(name=name, **(values | fields))


def spine_of(layers: Sequence[LayerProfile]) -> Spine:
    """Return the spine through measured layers given in execution order."""
    measured = [layer for layer in reversed(layers) if layer.gradient is not None and layer.gradient.l2 > 0]
    points = tuple(SpinePoint(layer=p.name, kind=p.kind, role=p.role, call=0, l2=p.gradient.l2) for p in measured if p.gradient)
    segments = tuple(
        Segment(layer=a.layer, kind=a.kind, role=a.role, call=0, log10_gain=math.log10(b.l2 / a.l2))
        for a, b in itertools.pairwise(points)
    )
    return Spine(entry=measured[-1].name if measured else "", points=points, segments=segments)


def profile_of(*layers: LayerProfile, **fields: Any) -> Profile:
    """Return a profile of `layers` in execution order.

    Unless given: one spine through all leaf layers, the parameters none, a batch of 16 with one ordinary input.
    """
    placed = tuple(_placed(layer, order) for order, layer in enumerate(layers))
    parameters = tuple(fields.get("parameters", ()))
    sizes = [p.value.numel for p in parameters]
    trainable = [p.value.numel for p in parameters if p.state != "frozen"]
    values: dict[str, Any] = {
        "target": "example.py", "model_kind": "Example", "objective": objective_of(), "batch_size": 16,
        "batch": (input_of(),), "device": "cpu", "dtype": "float32", "seed": 0, "mode": "train", "versions": {},
        "parameter_count": sum(sizes), "trainable_count": sum(trainable), "layers": placed, "parameters": parameters,
        "spines": (spine_of([layer for layer in placed if layer.leaf]),),
    }  # fmt: skip
    return Profile(**(values | fields))


def _placed(layer: LayerProfile, order: int) -> LayerProfile:
    return layer if layer.order >= 0 else dataclasses.replace(layer, order=order)
