"""A model, batch and loss that a program already holds, as a subject."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import assembly
from gradcheck_cli.loading.base import Objective, Subject
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.target import Target
from gradcheck_cli.settings import Settings


def subject_of(model: nn.Module, batch: Any, loss_fn: Any, optimizer: Any, settings: Settings) -> Subject:
    """Gather what a scan needs from live objects, by the rules that hold for the names of a file; raises GradcheckError.

    `batch` is what the model or its loss takes: a tensor, (inputs, target), a dictionary, or a DataLoader. Lines are not
    known but for the model's class: the layers were built before.
    """
    if not isinstance(model, nn.Module):
        raise GradcheckError(
            "E114",
            f"a {type(model).__name__} is no model",
            "scan takes an nn.Module, or the path of a file that holds one",
            "scan(model, batch, loss_fn)",
        )
    names = {"loss_fn": loss_fn, "optimizer": optimizer}
    names["train_loader" if isinstance(batch, DataLoader) else "batch"] = batch
    context = Context(
        settings=settings,
        target=Target(text=settings.target, kind="module", module=settings.target),
        base=Path.cwd(),
        space={name: value for name, value in names.items() if value is not None},
        module=type(model).__module__,
    )
    subject = assembly.from_parts(context, model)
    return dataclasses.replace(
        subject,
        data_origin="" if batch is not None else subject.data_origin,
        objectives=tuple(_given(objective) for objective in subject.objectives),
    )


def _given(objective: Objective) -> Objective:
    """A loss that the caller handed over was not found anywhere."""
    return dataclasses.replace(objective, origin="given") if objective.origin == "found: loss_fn" else objective
