"""Train a copy for a few steps, always on the same batches in the same order from the same random state."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from gradcheck_cli.loading.base import OptimizerSpec, Subject
from gradcheck_cli.probing.probe import training_mode
from gradcheck_cli.probing.process_state import ProcessState
from gradcheck_cli.probing.running import seed_everything
from gradcheck_cli.trials.base import Loop, Setup
from gradcheck_cli.trials.edits.loss_scale import without_scale
from gradcheck_cli.trials.stepping import Stepper

_STAND_IN = OptimizerSpec(name="Adam", lr=1e-3, origin="assumed")


def train(setup: Setup, *, steps: int, seed: int, check: Callable[[], None] = lambda: None) -> list[float]:
    """Train the setup's model in place; the loss before each step and after the last, `steps` + 1 values.

    After a loss that is not finite no step is taken, and the rest repeats it. Losses are in their own unit, whatever the
    loss scale. `check` is called before every step and may raise to stop. The process's random state is put back. Raises
    NotApplicable when there is no such optimizer or nothing to train, and what the user's code raises.
    """
    model, batches = setup.subject.model, setup.subject.batches
    compute = without_scale(setup.objective).compute
    stepper, losses, before = Stepper(model, setup.loop), list[float](), ProcessState()
    try:
        with training_mode(model), torch.enable_grad():
            for step in range(steps + 1):
                check()
                seed_everything(seed + step)
                loss = compute(model, batches[step % len(batches)]).loss
                losses.append(loss.detach().item())
                if not math.isfinite(losses[-1]):
                    break
                if step < steps:
                    stepper.step(loss)
    finally:
        stepper.clear()
        before.restore()
    return losses + [losses[-1]] * (steps + 1 - len(losses))


def loop_of(subject: Subject) -> Loop:
    """How the user trains; Adam with learning rate 1e-3 stands in where no optimizer, or none that moves, was found."""
    found = subject.optimizer
    if found is None:
        return Loop(optimizer=_STAND_IN, assumed=True)
    if not found.lr > 0:  # the first step of a warm-up: the rate that it leads to is not known
        return Loop(optimizer=_STAND_IN, assumed=True)
    return Loop(optimizer=found)


def describe(loop: Loop) -> str:
    """The loop in words: "Adam, lr 0.001, clipped at norm 1.2"."""
    options = loop.optimizer.options
    parts = [f"{loop.optimizer.name}, lr {loop.optimizer.lr:.3g}"]
    if loop.warm_up:
        parts.append(f"warmed up over {loop.warm_up} steps")
    if options.get("momentum"):
        parts.append(f"momentum {options['momentum']:g}")
    if options.get("weight_decay"):
        parts.append(f"weight decay {options['weight_decay']:g}")
    if loop.clip_norm is not None:
        parts.append(f"clipped at norm {loop.clip_norm:.3g}")
    if loop.clip_value is not None:
        parts.append(f"clipped at value {loop.clip_value:.3g}")
    if loop.loss_scale != 1.0:
        parts.append(f"loss scale {loop.loss_scale:g}")
    return ", ".join(parts) + (" (no optimizer found)" if loop.assumed else "")
