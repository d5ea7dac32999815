"""Which stack frames are the user's own, and how to name their lines."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from gradcheck_cli.errors import message

_OURS = str(Path(__file__).resolve().parent.parent) + os.sep
_LIBRARIES = tuple(
    str(Path(folder).resolve()) + os.sep for key in ("stdlib", "platstdlib") if (folder := sysconfig.get_path(key))
)


@functools.cache
def is_ours(filename: str) -> bool:
    """Whether the file is part of gradcheck."""
    return filename.startswith(_OURS)


@functools.cache
def is_user_file(filename: str) -> bool:
    """Whether the file belongs to the user: neither gradcheck, nor an installed package, nor the standard library."""
    if filename.startswith("<") or is_ours(filename):
        return False
    parts = Path(filename).parts
    if "site-packages" in parts or "dist-packages" in parts:
        return False
    return not str(Path(filename).resolve()).startswith(_LIBRARIES)


def user_frames(trace: TracebackType | None) -> list[tuple[FrameType, int]]:
    """The user's frames of a traceback with their line numbers, outermost first."""
    return [(frame, line) for frame, line in traceback.walk_tb(trace) if is_user_file(frame.f_code.co_filename)]


def shown_path(filename: str, base: Path) -> str:
    """POSIX path relative to `base`."""
    try:
        return Path(os.path.relpath(filename, base)).as_posix()
    except ValueError:  # another drive
        return Path(filename).as_posix()


_outside: list[Path] = []  # folders that were left for one the user's code runs in, the first of them gradcheck's own


@contextlib.contextmanager
def left(folder: Path) -> Iterator[None]:
    """Note that the user's code runs elsewhere than in the folder that gradcheck was run in."""
    _outside.append(folder)
    try:
        yield
    finally:
        _outside.pop()


def shown_from() -> Path:
    """The folder that shown paths are relative to: where gradcheck was run, whatever --cwd and the user's code enter."""
    return _outside[0] if _outside else Path.cwd()


def where(exc: BaseException, base: Path) -> str | None:
    """`file:line` of the innermost user frame that raised `exc`."""
    frames = user_frames(exc.__traceback__)
    if not frames:
        return None
    frame, line = frames[-1]
    return f"{shown_path(frame.f_code.co_filename, base)}:{line}"


def trace(exc: BaseException, base: Path) -> str:
    """The traceback cut to the user's frames, with the exception's own lines."""
    lines = []
    for frame, line in user_frames(exc.__traceback__):
        summary = traceback.FrameSummary(frame.f_code.co_filename, line, frame.f_code.co_name)
        lines.append(f"  {shown_path(summary.filename, base)}:{line} in {summary.name}")
        lines.append(f"    {summary.line}")
    return "\n".join(lines) + "\n" + "".join(traceback.format_exception_only(exc)).rstrip()


def defined_at(thing: Any, base: Path) -> str | None:
    """`file:line` of a class or function of the user's."""
    try:
        file, line = inspect.getsourcefile(thing), inspect.getsourcelines(thing)[1]
    except (OSError, TypeError):
        return None
    return f"{shown_path(file, base)}:{line}" if file is not None and is_user_file(file) else None


def one_line(exc: BaseException, limit: int = 300) -> str:
    """`TypeName: message` on one line."""
    text = " ".join(message(exc).split())
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__
