"""Let the weights shrink a little at each step of the training loop."""

from __future__ import annotations

import dataclasses
import math

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.optimizer import default_of, with_optimizer


def apply(setup: Setup, edit: Edit) -> Setup:
    """Set the optimizer's weight decay to `value`."""
    value, found = float(edit.options["value"]), setup.loop.optimizer
    if not 0 <= value < math.inf:
        raise NotApplicable("no finite weight decay could be worked out")
    if default_of(found.name, "weight_decay") is None:
        raise NotApplicable(f"torch.optim.{found.name} has no weight decay")
    if found.options.get("weight_decay", 0.0) == value:
        raise NotApplicable(f"the weight decay is {value:g} already")
    spec = dataclasses.replace(found, options={**found.options, "weight_decay": value})
    return with_optimizer(setup, spec, assumed=setup.loop.assumed)
