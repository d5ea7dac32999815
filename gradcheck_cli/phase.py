"""Say which part of a scan runs, and how far it is, so that a time limit or a crash finds the place and what is known."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck_cli.records import Report


@dataclass(frozen=True, slots=True)
class Phase:
    """What runs now: a few words that fit after "while ...", and the parts of it that are done where they can be counted."""

    name: str
    done: int | None = None
    of: int | None = None


_on_phase: Callable[[Phase], None] | None = None
_on_interim: Callable[[Report], None] | None = None
_inside_part = False


def listen(on_phase: Callable[[Phase], None] | None, on_interim: Callable[[Report], None] | None = None) -> None:
    """Send every phase and every interim report to these from now on; None ends it."""
    global _on_phase, _on_interim
    _on_phase, _on_interim = on_phase, on_interim


def enter(name: str) -> None:
    """Announce that a phase begins, e.g. "importing model.py". Inside a part the part stays announced."""
    if not _inside_part:
        _announce(Phase(name))


@contextlib.contextmanager
def part(name: str, *, done: int, of: int) -> Iterator[None]:
    """Announce one of several parts while the block runs, of which so many are done: "trying Switch to ReLU", 3 of 8."""
    global _inside_part
    _announce(Phase(name, min(done, of), of))
    _inside_part = True
    try:
        yield
    finally:
        _inside_part = False


def _announce(phase: Phase) -> None:
    if _on_phase is not None:
        _on_phase(phase)


def interim(report: Report) -> None:
    """Hand over what the scan says if it ends before its trials do; a later call replaces an earlier one."""
    if _on_interim is not None:
        _on_interim(report)
