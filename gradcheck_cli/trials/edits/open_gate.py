"""Start factors that silence a branch (LayerScale, zero-initialised gates and layers) at a small value."""

from __future__ import annotations

import torch

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.modules import materialise
from gradcheck_cli.trials.weights import named_weights


def apply(setup: Setup, edit: Edit) -> Setup:
    """Set the named parameters to the option `value`; draw those that are matrices with that standard deviation.

    A matrix of equal elements would make all units alike. Raises NotApplicable when none of them is trainable.
    """
    value = float(edit.options["value"])
    generator = torch.Generator().manual_seed(setup.seed)
    materialise(setup)
    weights = named_weights(setup.subject.model, edit.layers)
    if not weights:
        raise NotApplicable("none of the gates is trainable")
    for weight in weights:
        old = weight.value()
        if sum(size > 1 for size in old.shape) < 2:
            weight.assign(torch.full_like(old, value))
        else:
            wide = torch.promote_types(old.dtype, torch.float32)
            weight.assign((torch.randn(old.shape, dtype=wide, generator=generator) * value).to(old))
    return setup
