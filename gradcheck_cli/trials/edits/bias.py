"""Start biases, or those of one gate of a recurrent layer, at a value."""

from __future__ import annotations

import torch
from torch import nn

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.modules import materialise
from gradcheck_cli.trials.weights import Weight, named_weights

# PyTorch stores the gates of an LSTM as input, forget, cell, output, those of a GRU as reset, update, new.
_GATES = {"forget": (1, 4, (nn.LSTM, nn.LSTMCell)), "update": (1, 3, (nn.GRU, nn.GRUCell))}


def apply(setup: Setup, edit: Edit) -> Setup:
    """Set the biases of the named layers to the option `value`; with `gate`, that gate's part of `bias_hh` only.

    All layers and directions of a stacked recurrent layer are set. Raises NotApplicable when there is no trainable bias,
    or when a named layer has no such gate.
    """
    value, gate = float(edit.options.get("value", 0.0)), edit.options.get("gate")
    if gate is not None and gate not in _GATES:
        raise NotApplicable(f"there is no gate called `{gate}`")
    materialise(setup)
    weights = [w for w in named_weights(setup.subject.model, edit.layers) if w.is_bias]
    if gate is not None:
        weights = [w for w in weights if "bias_hh" in w.name and isinstance(w.module, _GATES[gate][2])]
    if not weights:
        raise NotApplicable("the layers have no trainable bias" if gate is None else f"no layer has a bias for its {gate} gate")
    for weight in weights:
        _set(weight, value, gate)
    return setup


def _set(weight: Weight, value: float, gate: str | None) -> None:
    fresh = weight.value()
    if gate is None:
        fresh.fill_(value)
    else:
        index, gates, _ = _GATES[gate]
        torch.chunk(fresh, gates)[index].fill_(value)
    weight.assign(fresh)
