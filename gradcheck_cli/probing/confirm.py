"""Look again at suspects: other seeds and batches, and the same model after a few optimizer steps on a copy."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import nn

from gradcheck_cli.errors import GradcheckError, brief
from gradcheck_cli.loading.base import Objective, Subject
from gradcheck_cli.probing.copying import copy_model
from gradcheck_cli.probing.probe import measure, probe, training_mode
from gradcheck_cli.probing.running import Measurer, seed_everything
from gradcheck_cli.probing.sandbox import untouched
from gradcheck_cli.records import Confirmation, Profile, TrainedProbe
from gradcheck_cli.settings import Settings

REPEATS = 2  # further seeds (and batches, where there are several)
# Zero-initialised branches open after one step, two-stage gates after two; a disease outlives both looks.
LOOKS = (3, 20)  # optimizer steps after which the copy is measured
LEARNING_RATE = 1e-3  # Adam's default


def confirm(subject: Subject, objective: Objective, settings: Settings, profile: Profile) -> Profile:
    """Return the profile with what other seeds, batches and a trained copy show; the user's model stays as it is.

    The copy is trained by Adam (lr 1e-3) on the loss divided by its first gradient's norm, so that the loss's scale
    changes nothing. What could not be looked at again is said in `gaps`.
    """
    gaps: list[str] = []
    repeats: list[Profile] = []
    trained: tuple[TrainedProbe, ...] = ()
    try:
        for i in range(1, REPEATS + 1):
            repeats.append(probe(subject, objective, settings, batch=i, seed=settings.seed + i))
        with untouched(subject.model):
            trained = _train(subject, objective, settings, profile)
    except Exception as error:  # whatever the user's code raises, the first look stands
        if isinstance(error, GradcheckError) and error.id == "E572":
            raise
        gaps.append(f"the suspects could not be looked at again: {brief(error)}")
    confirmation = Confirmation(repeats=tuple(repeats), trained=trained)
    return dataclasses.replace(profile, confirmation=confirmation, gaps=(*profile.gaps, *gaps))


def _train(subject: Subject, objective: Objective, settings: Settings, profile: Profile) -> tuple[TrainedProbe, ...]:
    twin = copy_model(subject.model)
    model = twin.model
    size = math.hypot(*(p.gradient.l2 for p in profile.parameters if p.gradient is not None))
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not 0.0 < size < math.inf or not parameters:
        return ()
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    losses: list[float] = []
    looks: list[TrainedProbe] = []
    with training_mode(model), twin.watch() as talk:
        for step in range(LOOKS[-1]):
            losses.append(_step(model, objective, subject, optimizer, step, settings.seed, 1.0 / size))
            if not math.isfinite(losses[-1]):
                break
            if step + 1 in LOOKS:
                model.zero_grad(set_to_none=True)
                measurer = Measurer(
                    subject=subject, objective=objective, model=model, batch=subject.batches[0], seed=settings.seed
                )
                looks.append(TrainedProbe(optimizer="Adam", steps=step + 1, losses=tuple(losses), profile=measure(measurer)))
                model.zero_grad(set_to_none=True)
    if talk.calls:  # a closure led back to the original: these looks are not of the copy
        return ()
    return tuple(looks)


def _step(
    model: nn.Module,
    objective: Objective,
    subject: Subject,
    optimizer: torch.optim.Optimizer,
    step: int,
    seed: int,
    scale: float,
) -> float:
    seed_everything(seed + 1000 + step)
    optimizer.zero_grad(set_to_none=True)
    loss = objective.compute(model, subject.batches[step % len(subject.batches)]).loss
    (loss * scale).backward()  # type: ignore[no-untyped-call]
    for p in model.parameters():
        if p.grad is not None and p.grad.layout is not torch.strided:
            p.grad = p.grad.to_dense()  # Adam takes no sparse gradients
    optimizer.step()
    return float(loss.detach())
