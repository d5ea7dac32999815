"""What a person reads on stderr beside the report."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.reporting.clean import clean, clean_lines


class Forgiving:
    """stderr, which loses what cannot be written: a full disk or a reader that has gone changes no exit code."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed
            self._stream.write(text)
            self._stream.flush()
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def error_text(error: GradcheckError, *, with_trace: bool) -> str:
    """Render an error: what, where, why and what to do, one line each."""
    lines = [f"error {error.id}: {clean(error.what)}"]
    if error.where:
        lines.append(f"  at    {clean(error.where)}")
    lines += [f"  why   {clean(error.why)}", f"  hint  {clean(error.do)}"]
    if with_trace and error.trace:
        lines += ["", *clean_lines(error.trace.rstrip())]
    return "\n".join(lines) + "\n"


def show_error(error: GradcheckError, *, with_trace: bool) -> None:
    sys.stderr.write(error_text(error, with_trace=with_trace))
