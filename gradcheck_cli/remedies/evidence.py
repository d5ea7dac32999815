"""What is known of a finding's surroundings: the facts that a remedy's `when` and `edits` may ask for, beside its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gradcheck_cli.records import Finding
from gradcheck_cli.remedies.surroundings import BOUNDED, Surroundings, activation_name

EVIDENCE: Mapping[str, str] = {
    "activation": "activation that most layers on the way to the loss use, lower-case; none",
    "bounded": "whether that activation is bounded (sigmoid, tanh and their kin)",
    "scheme": "initialisation that belongs to it: he, lecun or xavier",
    "gain_of": "that activation where torch.nn.init.calculate_gain knows it, else linear",
    "fitting_activation": "that activation where layers may take it as well, else relu",
    "family": "conv, sequence, recurrent or linear: what most of the network works on",
    "depth_linear": "linear and convolution layers on the way from input to loss",
    "square_layers": "how many of them have as many outputs as inputs, so that a skip connection fits",
    "fan_in": "median fan-in of their weights",
    "batch_size": "samples in the batch",
    "has_norm": "whether any normalisation ran",
    "has_skip": "whether the way to the loss has bypassed blocks",
    "branch_factor": "1/√L for the L bypassed blocks on the way to the loss",
    "loss_scale": "largest loss scale that does not overflow float16; 65536, where GradScaler starts, if unknown",
    "recurrent": "whether a recurrent layer ran",
    "memory_bias": "gate bias ln(T - 1) with which a memory lasts for the T steps of the sequence; 1 where T is unknown",
    "optimizer": "class name of the optimizer, unknown when none was found",
    "adaptive": "whether the optimizer scales each step by the gradient's size (Adam and its kin)",
    "better_lr": "learning rate at which no weight's first update is more than a hundredth of it",
    "clip_norm": "norm of the whole gradient if every parameter had the median norm, at most that of the weights",
    "clip_value": "median over the parameters of the largest gradient element, at most a typical weight",
    "dtype": "floating-point type that the model computes in",
    "loss_kind": "kind of the objective",
    "output_activation": "activation that makes the output, lower-case; none",
    "severity": "severity of the finding",
}
_INSERTABLE = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "softplus")
_GAINS = ("sigmoid", "tanh", "relu", "leaky_relu", "selu")  # that nn.init.calculate_gain knows
_XAVIER = (*BOUNDED, "none")


def evidence(around: Surroundings, finding: Finding) -> dict[str, Any]:
    """Return the facts of EVIDENCE for a finding; the finding's own facts win where both name one."""
    activation = _blamed_activation(around, finding) or str(around.facts["activation"])
    own = str(finding.facts.get("activation") or activation)
    found = {
        "activation": activation,
        "severity": finding.severity,
        "bounded": own in BOUNDED,
        "scheme": "xavier" if own in _XAVIER else "lecun" if own == "selu" else "he",
        "gain_of": own if own in _GAINS else "linear",
        "fitting_activation": own if own in _INSERTABLE else "relu",
        "memory_bias": _memory_bias(finding.facts.get("steps")),
    }
    return around.facts | found | dict(finding.facts)


def _blamed_activation(around: Surroundings, finding: Finding) -> str:
    if finding.facts.get("blame_role") != "activation":
        return ""
    names = [activation_name(around.layers[name]) for name in finding.facts.get("blame_layers") or () if name in around.layers]
    return names[0] if names else str(finding.facts.get("blame_kind", "none"))


def _memory_bias(steps: Any) -> float:
    """Return ln(T - 1), at least one (C. Tallec, Y. Ollivier, 2018, equation 11: the upper end of their range)."""
    return round(max(1.0, math.log(steps - 1)), 1) if isinstance(steps, int) and steps > 2 else 1.0
