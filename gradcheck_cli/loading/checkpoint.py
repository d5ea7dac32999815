"""Weights from a file (stub)."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.context import Context
from gradcheck_cli.settings import Settings


def load_weights(model: nn.Module, path: Path, context: Context) -> None:
    raise NotImplementedError


def needs_model(path: Path, settings: Settings) -> GradcheckError:
    return GradcheckError("E227", "", "", "")
