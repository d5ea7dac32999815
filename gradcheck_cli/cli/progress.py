"""What moves on stderr while a scan runs."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from gradcheck_cli.phase import Phase
from gradcheck_cli.reporting.clean import clean

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR = 20  # columns


def show_print(line: str, *, origin: str = "") -> None:
    """Pass one line that the user's file printed on; the bar in front keeps it from being taken for a log command."""
    sys.stderr.write(f"{clean(origin)}| {clean(line)}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def spinner(target: str, phase: Callable[[], Phase], environment: Mapping[str, str], *, wanted: bool) -> Iterator[None]:
    """Show the running phase on stderr while the block runs, if stderr is a terminal that can move its cursor."""
    if not wanted or not sys.stderr.isatty() or environment.get("TERM") == "dumb":
        yield
        return
    from rich.console import Console

    done = threading.Event()
    with Console(stderr=True).status(_line(target, phase())) as status:

        def follow() -> None:
            while not done.wait(0.1):
                status.update(_line(target, phase()))

        threading.Thread(target=follow, daemon=True).start()
        try:
            yield
        finally:
            done.set()


def _line(target: str, phase: Phase) -> RenderableType:
    """Write what runs now; with a bar and "3/8" where its parts are counted."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    words = Text(f"{clean(target)}: {clean(phase.name)}")
    if phase.done is None or not phase.of:
        return words
    words.no_wrap, words.overflow = True, "crop"  # one line, else the bar jumps
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=phase.of, completed=phase.done, width=_BAR)
    grid.add_row(bar, Text(f"{phase.done}/{phase.of}"), words)
    return grid
