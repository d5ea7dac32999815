"""Report → text: one format a file, found by its name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from gradcheck_cli.reporting.base import Look

if TYPE_CHECKING:
    from gradcheck_cli.records import Report


def render(report: Report, look: Look) -> str:
    """Render a report in the wanted format; the modules are imported here so that only the wanted one is loaded."""
    renderer: Callable[[Report, Look], str] = importlib.import_module(f"gradcheck_cli.reporting.{look.format}").render
    return renderer(report, look)
