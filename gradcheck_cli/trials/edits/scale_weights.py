"""Multiply the weights and biases of layers by a factor."""

from __future__ import annotations

import torch

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.modules import materialise
from gradcheck_cli.trials.weights import named_weights

_TOLERANCE = 1e-2  # relative; half precision rounds by 1e-3


def apply(setup: Setup, edit: Edit) -> Setup:
    """Scale every trainable parameter of the named layers, or the named parameters, by the option `factor`.

    Raises NotApplicable when nothing could be scaled, as where a spectral norm undoes any factor.
    """
    factor = float(edit.options["factor"])
    materialise(setup)
    scaled, undone = 0, []
    for weight in named_weights(setup.subject.model, edit.layers):
        wanted = weight.value() * factor
        weight.assign(wanted)
        if torch.allclose(weight.value(), wanted, rtol=_TOLERANCE, atol=0.0, equal_nan=True):
            scaled += 1
        else:
            undone.append(weight.label)
    if undone:
        raise NotApplicable(f"a parametrisation of `{undone[0]}` undoes the factor")
    if not scaled:
        raise NotApplicable("none of the layers has a trainable parameter of its own")
    return setup
