"""Clip the gradient by its norm or by value before each step of the training loop."""

from __future__ import annotations

import dataclasses
import math

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup


def apply(setup: Setup, edit: Edit) -> Setup:
    """Set the threshold given as `norm` (L2 of the whole gradient) or as `value` (absolute value of an element)."""
    norm, value = (edit.options.get(name) for name in ("norm", "value"))
    for limit in (norm, value):
        if limit is not None and not 0 < limit < math.inf:
            raise NotApplicable("no finite threshold above zero could be measured from the gradients")
    if norm is None and value is None:
        raise NotApplicable("no threshold is given")
    loop = setup.loop
    if norm is not None:
        loop = dataclasses.replace(loop, clip_norm=float(norm))
    if value is not None:
        loop = dataclasses.replace(loop, clip_value=float(value))
    return dataclasses.replace(setup, loop=loop)
