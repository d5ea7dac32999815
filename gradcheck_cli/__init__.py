"""gradcheck: gradient health for PyTorch models.

`from gradcheck_cli import scan` measures a model in this process: `scan(model, batch, loss_fn)` returns a Report, which a
notebook shows. `assert_healthy(model, batch, loss_fn)` raises with the report as text. Importing this package imports no
torch; only a scan does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gradcheck_cli.api import assert_healthy, scan
    from gradcheck_cli.errors import GradcheckError
    from gradcheck_cli.records import Finding, Profile, Report
    from gradcheck_cli.settings import Settings

__all__ = ["Finding", "GradcheckError", "Profile", "Report", "Settings", "__version__", "assert_healthy", "scan"]

_HOMES = {"Settings": "settings", "GradcheckError": "errors", "scan": "api", "assert_healthy": "api"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: the command line's start should not wait for them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'records')}"), name)
