"""Change the learning rate of the training loop."""

from __future__ import annotations

import dataclasses
import math

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.optimizer import with_optimizer


def apply(setup: Setup, edit: Edit) -> Setup:
    """Train with learning rate `lr`; the update ratios of the next probe are for it too, if the optimizer is the user's."""
    lr, found = float(edit.options["lr"]), setup.loop.optimizer
    if not 0 < lr < math.inf:
        raise NotApplicable("no finite learning rate above zero could be worked out")
    if lr == found.lr:
        raise NotApplicable(f"the learning rate is {lr:g} already")
    return with_optimizer(setup, dataclasses.replace(found, lr=lr), assumed=setup.loop.assumed)
