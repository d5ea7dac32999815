"""Target → Subject: everything needed to run one training step on the user's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from gradcheck_cli.loading.base import Subject
    from gradcheck_cli.records import Outline
    from gradcheck_cli.settings import Settings


def load(settings: Settings) -> Subject:
    """Run the user's file and gather model, batches, loss and optimizer; raises GradcheckError (E1xx to E4xx)."""
    from gradcheck_cli.loading.assembly import assemble  # imports torch

    return assemble(settings)


def load_given(model: nn.Module, batch: Any, loss_fn: Any, optimizer: Any, settings: Settings) -> Subject:
    """Gather a subject from objects that a program holds; raises GradcheckError (E114, E3xx, E4xx)."""
    from gradcheck_cli.loading.in_memory import subject_of  # imports torch

    return subject_of(model, batch, loss_fn, optimizer, settings)


def outline(settings: Settings) -> Outline:
    """Run the user's file and name the model's layers; raises GradcheckError (E1xx, E2xx)."""
    from gradcheck_cli.loading import assembly  # imports torch

    return assembly.outline(settings)
