"""Multiply the loss, so that float16 can hold its gradients; the training loop divides them again."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import nn

from gradcheck_cli.loading.base import Batch, Objective, Outcome
from gradcheck_cli.probing.probe import training_mode
from gradcheck_cli.probing.running import seed_everything
from gradcheck_cli.probing.sandbox import untouched
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.stepping import BACKOFF, scaled_up

_LARGEST_IN_HALF = 2.0**15  # the last power of two that float16 has: the gradient of a float16 loss is the scale itself


@dataclass(frozen=True, slots=True)
class ScaledLoss:
    """Computes what another objective does, with the loss multiplied by `scale`."""

    inner: Objective
    scale: float

    def __call__(self, model: nn.Module, batch: Batch) -> Outcome:
        outcome = self.inner.compute(model, batch)
        return dataclasses.replace(outcome, loss=scaled_up(outcome.loss, self.scale))


def apply(setup: Setup, edit: Edit) -> Setup:
    """Train and probe with the loss times `scale`, or times the half, quarter ... of it at which no gradient overflows.

    That is where a GradScaler started at `scale` ends after its first steps. What was scaled before is scaled anew.
    """
    asked, plain = float(edit.options["scale"]), without_scale(setup.objective)
    if not 0 < asked < math.inf or asked == 1.0:
        raise NotApplicable("no loss scale would help: the gradients are measured as they are")
    scale = _backed_off(setup, plain, asked)
    objective = dataclasses.replace(plain, compute=ScaledLoss(plain, scale))
    return dataclasses.replace(setup, objective=objective, loop=dataclasses.replace(setup.loop, loss_scale=scale))


def without_scale(objective: Objective) -> Objective:
    """The objective that was scaled; the same one if it was not."""
    return objective.compute.inner if isinstance(objective.compute, ScaledLoss) else objective


def _backed_off(setup: Setup, objective: Objective, scale: float) -> float:
    model = setup.subject.model
    with untouched(model), training_mode(model):
        while scale > 1.0:
            seed_everything(setup.seed)
            loss = objective.compute(model, setup.subject.batches[0]).loss
            if loss.dtype is torch.float16 and scale > _LARGEST_IN_HALF:
                scale = _LARGEST_IN_HALF
            scaled_up(loss, scale).backward()  # type: ignore[no-untyped-call]
            gradients = [p.grad for p in model.parameters() if p.grad is not None]
            if all(bool(torch.isfinite(g).all()) for g in gradients):
                return scale
            model.zero_grad(set_to_none=True)
            scale *= BACKOFF
        return _lowered(scale)


def _lowered(scale: float) -> float:
    """A scale below one is asked for against overflow and needs no backing off; one that fell to it helps nothing."""
    if scale < 1.0:
        return scale
    raise NotApplicable("at every loss scale above 1 some gradient overflows")
