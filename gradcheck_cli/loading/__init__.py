"""Target → Subject: everything needed to run one training step on the user's model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck_cli.loading.base import Subject
    from gradcheck_cli.settings import Settings


def load(settings: Settings) -> Subject:
    """Run the user's file and gather model, batches, loss and optimizer; raises GradcheckError (E1xx to E4xx)."""
    from gradcheck_cli.loading.assembly import assemble  # imports torch

    return assemble(settings)
