"""Run the user's forward and backward pass, always from the same random state, and tell errors in the user's terms."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.base import Batch, Objective, Outcome, Subject
from gradcheck_cli.probing.capture import Capture


@dataclass(frozen=True, slots=True)
class Measurer:
    """Measures one subject under one objective; `model` may be a copy of the subject's."""

    subject: Subject
    objective: Objective
    model: nn.Module
    batch: Batch
    seed: int
    exact: bool = False

    def run(self) -> Outcome:
        """One forward pass from the same random state each time."""
        seed_everything(self.seed)
        return self.objective.compute(self.model, self.batch)


def seed_everything(seed: int) -> None:
    """Seed the generators that user code draws from: torch's, Python's and, where it is loaded, numpy's."""
    torch.manual_seed(seed)
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed(seed % 2**32)


def forward_pass(measurer: Measurer, capture: Capture) -> Outcome:
    """Run the forward pass. Raises GradcheckError: E451-E453 for a loss without a gradient, else what `translate` says."""
    try:
        outcome = measurer.run()
    except (GradcheckError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise _translated(error, measurer, capture, "forward") from error
    _check_loss(outcome, measurer)
    return outcome


def backward_pass(measurer: Measurer, capture: Capture, outcome: Outcome) -> None:
    """Run the backward pass, recording. Raises GradcheckError as `translate` says."""
    try:
        with capture.measuring():
            outcome.loss.backward()  # type: ignore[no-untyped-call]
    except (GradcheckError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise _translated(error, measurer, capture, "backward") from error


def _translated(error: Exception, measurer: Measurer, capture: Capture, phase: str) -> GradcheckError:
    from gradcheck_cli.loading.explain import translate

    frame = capture.frame()
    return translate(error, measurer.subject, measurer.batch, phase=phase, layer=None if frame is None else frame.name)


def _check_loss(outcome: Outcome, measurer: Measurer) -> None:
    loss: Any = outcome.loss
    if loss.numel() != 1:
        raise GradcheckError(
            "E451", f"the loss is not a scalar but has shape {tuple(loss.shape)}", "a backward pass starts from one number",
            "reduce it in the loss function, or pass --reduce mean",
        )  # fmt: skip
    if not loss.is_floating_point():
        raise GradcheckError(
            "E452", f"the loss is of type {str(loss.dtype).removeprefix('torch.')}",
            "only a real floating-point loss has a gradient",
            "return a real number, for instance loss.abs() of a complex one",
        )  # fmt: skip
    if not loss.requires_grad:
        from gradcheck_cli.loading.explain_run import explain_unreachable

        raise explain_unreachable(measurer.subject, measurer.objective, measurer.batch)
