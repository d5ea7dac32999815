"""gradcheck: gradient health for PyTorch models.

`from gradcheck_cli import Settings, scan` runs a scan in this process: `scan(Settings(target="model.py"))` returns a Report.
Importing this package imports no torch; only a scan does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gradcheck_cli.errors import GradcheckError
    from gradcheck_cli.pipeline import scan
    from gradcheck_cli.records import Finding, Profile, Report
    from gradcheck_cli.settings import Settings

__all__ = ["Finding", "GradcheckError", "Profile", "Report", "Settings", "__version__", "scan"]

_HOMES = {"Settings": "settings", "GradcheckError": "errors", "scan": "pipeline"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: the command line's start should not wait for them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'records')}"), name)
