"""Scans → text: one format a file, found by its name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gradcheck_cli.reporting.base import Look

if TYPE_CHECKING:
    from gradcheck_cli.records import Scan


def render(scans: Sequence[Scan], look: Look) -> str:
    """Render what became of the targets in the wanted format; only the wanted one is imported."""
    renderer: Callable[[Sequence[Scan], Look], str] = importlib.import_module(f"gradcheck_cli.reporting.{look.format}").render
    return renderer(scans, look)
