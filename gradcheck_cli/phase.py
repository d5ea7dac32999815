"""Say which part of a scan runs, so that a time limit or a crash can be reported with the place it came at."""

from __future__ import annotations

from collections.abc import Callable

_listener: Callable[[str], None] | None = None


def listen(listener: Callable[[str], None] | None) -> None:
    """Send every phase to `listener` from now on; None ends it."""
    global _listener
    _listener = listener


def enter(name: str) -> None:
    """Announce that a phase begins: a few words that fit after "while ...", e.g. "importing model.py"."""
    if _listener is not None:
        _listener(name)
