"""What the streams can show, and writing to them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.reporting.base import Look


def colored(wanted: str, stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Decide on colour: --color beats the environment, NO_COLOR beats FORCE_COLOR; no colour means no escape code."""
    if wanted != "auto":
        return wanted == "always"
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return bool(environment.get("FORCE_COLOR")) or stream.isatty()


def width(stream: TextIO) -> int | None:
    """Return the columns of a terminal; None for a pipe or file, where lines are never broken."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def speaks_unicode(stream: TextIO) -> bool:
    """Say whether the stream's encoding has the blocks that the pictures are drawn with."""
    try:
        "▁█×".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def screen(color: str) -> Look:
    """Return how to render for stdout as it is now."""
    return Look(width=width(sys.stdout), color=colored(color, sys.stdout, os.environ), unicode=speaks_unicode(sys.stdout))


def emit(text: str) -> None:
    """Write the result to stdout. A reader that has gone (`| head`) changes no verdict; a full disk is E679."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again when it exits
        if not isinstance(error, BrokenPipeError):
            raise _unwritable("the standard output", error.strerror or str(error)) from None


def check_writable(path: str) -> None:
    """Raise E679 now rather than after a long scan."""
    file = Path(path)
    if file.is_dir():
        raise _unwritable(path, "it is a folder")
    if not file.parent.is_dir():
        raise _unwritable(path, f"there is no folder {file.parent}")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise _unwritable(path, "permission denied")


def save(text: str, path: str) -> None:
    """Write a file as a whole or not at all."""
    file = Path(os.path.realpath(path))  # what a link leads to may be on another disk
    fresh = file.with_name(f".gradcheck-{os.getpid()}.new")
    try:
        if file.exists() and not file.is_file():  # /dev/stderr, a named pipe
            file.write_text(text, "utf-8")
            return
        fresh.write_text(text, "utf-8")
        os.replace(fresh, file)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise _unwritable(path, error.strerror or str(error)) from None


def append(text: str, path: str) -> None:
    """Add to a file that others write to as well."""
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from None


def _unwritable(path: str, why: str) -> GradcheckError:
    return GradcheckError("E679", f"cannot write to {path}", why, "give --output-file a path that can be written")
