"""Train with another optimizer."""

from __future__ import annotations

from gradcheck_cli.loading.base import OptimizerSpec
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.optimizer import default_of, with_optimizer


def apply(setup: Setup, edit: Edit) -> Setup:
    """Use torch.optim.`name` with learning rate `lr`, its other options at their defaults; weight decay is kept."""
    name, before = str(edit.options["name"]), setup.loop.optimizer
    lr = float(edit.options.get("lr", before.lr))
    if name == before.name and lr == before.lr:
        raise NotApplicable(f"{name} with learning rate {lr:g} is what the model is trained with already")
    default = default_of(name, "weight_decay")
    decay = before.options.get("weight_decay") or default
    options = {"weight_decay": float(decay)} if decay and default is not None else {}
    return with_optimizer(setup, OptimizerSpec(name=name, lr=lr, options=options, origin="tried"), assumed=False)
