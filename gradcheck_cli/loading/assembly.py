"""The order in which a subject is put together."""

from __future__ import annotations

import random

import torch
from torch import nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.base import Batch, Objective, Outcome, Subject
from gradcheck_cli.settings import Settings


def assemble(settings: Settings) -> Subject:
    """Load the target as the settings say."""
    import runpy

    torch.manual_seed(settings.seed)
    random.seed(settings.seed)
    path, _, name = settings.target.partition(":")
    space = runpy.run_path(path, run_name="target")
    model = space[name] if name else next(v for k, v in space.items() if k in ("model", "net"))
    if not isinstance(model, nn.Module):
        model = model()
    loss_fn = space.get("loss_fn") or space.get("criterion")
    if loss_fn is None:
        raise GradcheckError("E455", "no loss was found", "the file has no `loss_fn`", "add `loss_fn`")
    kinds = {nn.CrossEntropyLoss: "cross_entropy", nn.MSELoss: "mse", nn.BCEWithLogitsLoss: "bce_logits"}

    def compute(model: nn.Module, batch: Batch) -> Outcome:
        output = model(*batch.args, **batch.kwargs)
        return Outcome(loss=loss_fn(output, batch.target), output=output, target=batch.target)

    objective = Objective(name="loss", kind=kinds.get(type(loss_fn), "other"), origin="found: loss_fn", compute=compute)
    batch = Batch(args=(space["x"],), target=space.get("y"))
    return Subject(
        model=model, batches=(batch,), objectives=(objective,), optimizer=None, sites={}, target=settings.target
    )
