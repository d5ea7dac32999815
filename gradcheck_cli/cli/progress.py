"""What moves on stderr while a scan runs."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping

from gradcheck_cli.reporting.clean import clean


def show_print(line: str) -> None:
    """Pass one line that the user's file printed on; the bar in front keeps it from being taken for a log command."""
    sys.stderr.write(f"| {clean(line)}\n")
    sys.stderr.flush()


@contextlib.contextmanager
def spinner(target: str, phase: Callable[[], str], environment: Mapping[str, str], *, wanted: bool) -> Iterator[None]:
    """Show the running phase on stderr while the block runs, if stderr is a terminal that can move its cursor."""
    if not wanted or not sys.stderr.isatty() or environment.get("TERM") == "dumb":
        yield
        return
    from rich.console import Console
    from rich.text import Text

    done = threading.Event()

    def line() -> Text:
        return Text(f"{clean(target)}: {clean(phase())}")

    with Console(stderr=True).status(line()) as status:

        def follow() -> None:
            while not done.wait(0.1):
                status.update(line())

        threading.Thread(target=follow, daemon=True).start()
        try:
            yield
        finally:
            done.set()
