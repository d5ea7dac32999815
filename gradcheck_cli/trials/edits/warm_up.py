"""Let the learning rate grow linearly over the first steps of the training loop."""

from __future__ import annotations

import dataclasses

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup


def apply(setup: Setup, edit: Edit) -> Setup:
    """Reach the full learning rate after `steps` steps. The update ratios stay those of the full rate."""
    steps = int(edit.options["steps"])
    if steps < 2:
        raise NotApplicable("a warm-up takes at least two steps")
    return dataclasses.replace(setup, loop=dataclasses.replace(setup.loop, warm_up=steps))
