"""The document that stands on stdout in the report's place when there is no verdict."""

from __future__ import annotations

import os
from collections.abc import Iterator

from gradcheck_cli import __version__
from gradcheck_cli.cli.terminal import emit, save
from gradcheck_cli.errors import GradcheckError

_FLAGS = ("--format", "--output-format")


def leave_document(error: GradcheckError, form: str | None, file: str | None = None) -> None:
    """Say "no verdict" where a machine expects the report."""
    if form != "json":
        return
    from gradcheck_cli.reporting.json import render_error

    text = render_error(error, __version__)
    if file is None:
        emit(text)
    else:
        save(text, file)


def form_asked_for(arguments: list[str]) -> str | None:
    """Read the form of the output from a command line that cannot be understood as a whole, else from the environment."""
    return next(iter(_forms(arguments)), os.environ.get("GRADCHECK_FORMAT"))


def _forms(arguments: list[str]) -> Iterator[str]:
    """Every value of --format, the last first: that is the one that counts."""
    for place in range(len(arguments) - 1, -1, -1):
        flag, equals, value = arguments[place].partition("=")
        if flag in _FLAGS and equals:
            yield value
        elif flag in _FLAGS and place + 1 < len(arguments):
            yield arguments[place + 1]


def usage_error(stop: SystemExit) -> GradcheckError | None:
    """Build E673 from the end that typer made of a command line that it could not understand."""
    cause = stop.__context__
    if cause is None or not hasattr(cause, "format_message"):  # only click has it, which typer brings along under its own name
        return None
    return GradcheckError("E673", "the command line is not understood", cause.format_message(), "see gradcheck scan --help")
