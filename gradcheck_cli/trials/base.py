"""What an edit works on, and how it says that it cannot be done."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck_cli.loading.base import Objective, OptimizerSpec, Subject
from gradcheck_cli.records import Edit, Profile


class NotApplicable(Exception):
    """Raised by an edit that cannot be made here; the message is the reason, a clause in words for the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """How the copy is trained. `assumed` says that no optimizer was found, so that Adam stands in."""

    optimizer: OptimizerSpec
    assumed: bool = False
    clip_norm: float | None = None
    clip_value: float | None = None
    warm_up: int = 0  # steps over which the learning rate grows linearly to its full value
    loss_scale: float = 1.0  # the loss is multiplied by it, the gradients divided, as GradScaler does


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A model that belongs to the trial, with data, loss and training loop: what edits change.

    `subject.model` may be edited in place; everything else is replaced (`dataclasses.replace`), never mutated. `profile` is
    that of the original under `objective`.
    """

    subject: Subject
    objective: Objective
    profile: Profile
    loop: Loop
    seed: int  # for everything that an edit draws at random
    new_loss_scale: bool = False  # the edit changes the unit of the loss, so that values before and after do not compare


def apply(setup: Setup, edits: Sequence[Edit]) -> Setup:
    """Make the edits in order; each is `apply(setup, edit) -> Setup` of `trials/edits/<kind>.py`.

    Raises NotApplicable with the reason.
    """
    for edit in edits:
        module = importlib.import_module(f"gradcheck_cli.trials.edits.{edit.kind}")
        setup = module.apply(setup, edit)
    return setup


def with_subject(setup: Setup, **changes: object) -> Setup:
    """Return the setup with fields of its subject replaced."""
    return dataclasses.replace(setup, subject=dataclasses.replace(setup.subject, **changes))  # type: ignore[arg-type]
