"""What a catalogue entry may say of an edit: its kind, the layers it works on, and the options of the kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCOPES: Mapping[str, str] = {
    "model": "nothing in particular: data, loss, training loop",
    "activations": "the activation that the finding blames or points to, else the usual one, wherever it lies on the way",
    "output activation": "the activation that makes the output, nothing where there is none",
    "linear": "all linear and convolution layers that ran; bare weights where there are none",
    "hidden linear": "those on the way to the loss that an activation follows",
    "output layer": "the last on the way to the loss",
    "square": "those on the way to the loss, but the last, that have as many outputs as inputs, so that a skip fits",
    "branch ends": "those beside the way to the loss that no activation follows: the last of each residual branch",
    "chain": "the linear layers in a row that the finding names, but the last",
    "layer": "the layers that the finding names, as far as the kind of edit works on them",
    "before": "the layers right before those that the finding names",
    "parameter": "the parameters that the finding is about",
    "recurrent": "the recurrent layer of the finding",
    "recurrent weights": "the weights that lead from one step's state to the next",
    "owner": "the module whose forward method does what the finding points to",
    "owners": "the modules of the finding and all around them",
    "gates": "parameters at or near zero that silence what the finding names",
}
_PLACES = ("linear", "hidden linear", "output layer", "branch ends", "layer", "before", "parameter", "recurrent weights")
_ACTIVATIONS = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "softplus")
_LOSSES = ("cross_entropy", "bce_logits", "nll", "mse", "huber")


class Number:
    """Stands for any number as the value of an option."""


class Word:
    """Stands for any text as the value of an option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Options with the values they may take, which of them must be there, the scopes, and the roles of layers it edits."""

    options: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("model",)
    roles: tuple[str, ...] = ("linear",)


KINDS: Mapping[str, Kind] = {
    "activation": Kind(
        options={"to": (*_ACTIVATIONS, "identity")}, required=("to",), scopes=("activations", "layer"), roles=("activation",)
    ),
    "insert_activation": Kind(options={"to": _ACTIVATIONS}, required=("to",), scopes=("chain",)),
    "guard": Kind(options={"operation": Word}, required=("operation",), scopes=("owner",)),
    "reconnect": Kind(scopes=("owners",)),
    "output": Kind(options={"drop": (True,), "loss": _LOSSES}, scopes=("output activation", "model")),
    "initialise": Kind(
        options={"scheme": ("he", "xavier", "orthogonal", "lsuv", "lecun", "default"), "gain_of": Word},
        required=("scheme",),
        scopes=_PLACES,
        roles=("linear", "recurrent"),
    ),
    "scale_weights": Kind(options={"factor": Number}, required=("factor",), scopes=_PLACES),
    "bias": Kind(
        options={"value": Number, "gate": ("forget", "update")},
        required=("value",),
        scopes=("before", "layer", "recurrent"),
        roles=("linear", "norm"),
    ),
    "open_gate": Kind(options={"value": Number}, required=("value",), scopes=("gates",)),
    "normalise": Kind(
        options={"norm": ("batch", "layer", "group")}, required=("norm",), scopes=("hidden linear", "linear", "layer")
    ),
    "replace_norm": Kind(options={"norm": ("layer", "group")}, required=("norm",), scopes=("layer",), roles=("norm",)),
    "residual": Kind(scopes=("square",)),
    "recurrent": Kind(options={"to": ("gru", "lstm")}, required=("to",), scopes=("recurrent",), roles=("recurrent",)),
    "clip": Kind(options={"norm": Number, "value": Number}),
    "learning_rate": Kind(options={"lr": Number}, required=("lr",)),
    "warm_up": Kind(options={"steps": Number}, required=("steps",)),
    "optimizer": Kind(options={"name": Word, "lr": Number}, required=("name", "lr")),
    "weight_decay": Kind(options={"value": Number}, required=("value",)),
    "loss_scale": Kind(options={"scale": Number}, required=("scale",)),
    "precision": Kind(options={"dtype": ("bfloat16", "float32")}, required=("dtype",)),
    "inputs": Kind(
        options={"how": ("standardise", "pixels", "feature", "finite"), "feature": Number}, required=("how",)
    ),
    "targets": Kind(
        options={"how": ("standardise", "range", "binary", "shape"), "low": Number, "high": Number}, required=("how",)
    ),
}  # fmt: skip


def check_edit(edit: Any) -> str | None:
    """Return what is wrong with one entry of `edits`, None when it is well formed.

    A value that starts with `$` names a fact and is checked when it is known.
    """
    if not isinstance(edit, dict):
        return "a mapping is wanted"
    name, scope = str(edit.get("kind")), edit.get("scope", "model")
    if name not in KINDS:
        return f"unknown kind {name!r}"
    kind, options = KINDS[name], {str(key): value for key, value in edit.items() if key not in ("kind", "scope")}
    if scope not in kind.scopes:
        return f"{name} works on {' or '.join(kind.scopes)}, not on {scope!r}"
    unknown, missing = set(options) - set(kind.options), set(kind.required) - set(options)
    if unknown or missing:
        return f"{name} has unknown options {sorted(unknown)}, lacks {sorted(missing)}"
    wrong = [key for key, value in options.items() if not is_fact(value) and not fits(kind.options[key], value)]
    return f"{name} {wrong[0]}: {options[wrong[0]]!r} is not allowed" if wrong else None


def is_fact(value: Any) -> bool:
    """Say whether an option's value names a fact."""
    return isinstance(value, str) and value.startswith("$")


def fits(allowed: Any, value: Any) -> bool:
    """Say whether an option may have this value: one of a list, any finite number, or any text."""
    if allowed is Number:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")
    if allowed is Word:
        return isinstance(value, str) and bool(value)
    return any(value == one and type(value) is type(one) for one in allowed)
