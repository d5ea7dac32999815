"""What can go wrong while the user's file runs, told in the user's terms (E104 to E112, E118, E119, E126)."""

from __future__ import annotations

import io
import tokenize
import traceback
from pathlib import Path

from gradcheck_cli.errors import GradcheckError, message
from gradcheck_cli.loading import environment_errors, missing_modules
from gradcheck_cli.loading.frames import one_line, shown_path, trace, where
from gradcheck_cli.loading.target import Target
from gradcheck_cli.settings import Settings

_GUARD = "put the part that runs under `if __name__ == '__main__':`"


def read_source(path: Path) -> bytes:
    """The file's bytes, checked to be Python text (E105)."""
    try:
        data = path.read_bytes()
    except PermissionError as exc:
        raise GradcheckError("E101", f"`{path.name}` cannot be read", one_line(exc), "check the file's permissions") from None
    if b"\0" in data:
        raise GradcheckError(
            "E105",
            f"`{path.name}` is not a text file",
            f"it holds a NUL byte at offset {data.index(0)}",
            "save it as UTF-8 (UTF-16 files hold NUL bytes)",
        )
    try:
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        except SyntaxError as exc:  # no text in the encoding it declares, or in UTF-8 when it declares none
            data.decode("utf-8")
            raise LookupError(str(exc)) from None
        data.decode(encoding)
    except UnicodeDecodeError as exc:
        raise _undecodable(path, f"byte {data[exc.start]:#04x} at offset {exc.start} is not {exc.encoding}") from None
    except LookupError as exc:
        raise _undecodable(path, str(exc)) from None
    return data


def _undecodable(path: Path, why: str) -> GradcheckError:
    return GradcheckError(
        "E105",
        f"`{path.name}` cannot be decoded",
        why,
        "save it as UTF-8, or name its encoding in the first line: # -*- coding: latin-1 -*-",
    )


def too_long(target: Target, settings: Settings, line: str) -> GradcheckError:
    """E109: the import used up its share of the time limit."""
    return GradcheckError(
        "E109",
        f"`{target.text}` was still running at import when its time was up ({settings.timeout:g} s limit)",
        f"it was at {line}: does it train at import?" if line else "does it train at import?",
        f"{_GUARD}, or allow more with --timeout",
        where=line or None,
    )


def translate_import(exc: BaseException, target: Target, base: Path, what: str = "") -> GradcheckError:
    """Find the error id for an exception that the user's file raised at import, or `what` raised afterwards."""
    if isinstance(exc, SyntaxError):
        error = _syntax(exc, base)
    elif isinstance(exc, SystemExit):
        error = _system_exit(exc, target)
    elif isinstance(exc, Warning):
        error = GradcheckError(
            "E126",
            f"a warning stopped the import: {one_line(exc)}",
            "warnings are turned into errors here",
            "run without -W error (or PYTHONWARNINGS=error)",
        )
    elif (shadow := missing_modules.shadowing(exc, target)) is not None:
        error = shadow
    elif isinstance(exc, ImportError):
        error = missing_modules.translate(exc, target, base)
    elif isinstance(exc, EOFError):
        error = GradcheckError(
            "E110", "the file asks for input at import", "a scan has nobody to type it: stdin is empty", _GUARD
        )
    elif isinstance(exc, OSError) and exc.filename is not None:
        error = _file_error(exc)
    else:
        error = translate_building(exc, what or f"`{target.text}` raised at import")
    return located(error, exc, base)


def located(error: GradcheckError, exc: BaseException, base: Path) -> GradcheckError:
    """Add the user's line and the user's frames."""
    error.where = error.where or where(exc, base)
    error.trace = error.trace or trace(exc, base)
    return error


def translate_building(exc: BaseException, what: str) -> GradcheckError:
    """Find the error id for an exception raised while a model is built, at import or by us (E118, E119, or the machine's)."""
    text = message(exc)
    if (
        "before Module.__init__() call" in text
        or "object has no attribute '_modules'" in text
        or "has no attribute '_parameters'" in text
    ):
        return GradcheckError(
            "E119",
            "`super().__init__()` is missing in a module's `__init__`",
            one_line(exc),
            "call super().__init__() first in __init__",
        )
    return environment_errors.translate(exc) or GradcheckError(
        "E118", what, one_line(exc), "correct the file; --traceback shows your frames"
    )


def _syntax(exc: SyntaxError, base: Path) -> GradcheckError:
    file = shown_path(exc.filename, base) if exc.filename else "the file"
    line = (exc.text or "").rstrip("\n")
    indent = len(line) - len(line.lstrip())
    caret = " " * max((exc.offset or 1) - 1 - indent, 0) + "^"
    place = f"{file}:{exc.lineno}" if exc.lineno else file
    return GradcheckError(
        "E104",
        f"`{file}` has a syntax error",
        f"{exc.msg}: {line.strip()}" if line.strip() else str(exc.msg),
        f"correct line {exc.lineno}",
        where=place,
        trace=f"  {place}\n    {line.strip()}\n    {caret}",
    )


def _system_exit(exc: SystemExit, target: Target) -> GradcheckError:
    """E108; a parser of the standard library or of click, absl, tyro ... is told by its file, or by exit code 2."""
    files = {Path(frame.f_code.co_filename).stem for frame, _ in traceback.walk_tb(exc.__traceback__)}
    if exc.code == 2 or files & {"argparse", "optparse"}:
        return GradcheckError(
            "E108",
            "the file parses command-line arguments at import",
            "its own arguments were not given",
            f"{_GUARD}, or pass its arguments: gradcheck scan {target.text} -- ARGS",
        )
    return GradcheckError(
        "E108", f"the file exits at import (exit code {exc.code})", "a scan needs it to run to its end", _GUARD
    )


def _file_error(exc: OSError) -> GradcheckError:
    return GradcheckError(
        "E111",
        f"the file could not open `{exc.filename}` at import",
        f"{exc.strerror}; the working directory is `{Path.cwd().as_posix()}`",
        "run from the directory that path is relative to, or name it with --cwd",
    )
