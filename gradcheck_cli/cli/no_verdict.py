"""The document that stands in the report's place when there is no verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradcheck_cli.cli.outputs import typed_outputs
from gradcheck_cli.cli.terminal import emit, save
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.settings import STDOUT

Outputs = Sequence[tuple[str | None, str | None]]


def leave_documents(error: GradcheckError, outputs: Outputs, *, target: str = "", to_files: bool = False) -> None:
    """Say "no verdict" where a machine expects the report; on stdout, where the file may be what is wrong.

    A person reads it on stderr, and in a file where an earlier report would stay.
    """
    shown = False
    for form, file in outputs:
        on_screen = file in (None, "", STDOUT)
        if on_screen or (not to_files and len(outputs) == 1):
            if form != "text" and not shown:  # two documents on one screen would be none
                emit(_document(error, form, target))
                shown = True
        elif to_files:
            save(_document(error, form, target), str(file))


def _document(error: GradcheckError, form: str | None, target: str) -> str:
    """Render the absence of a verdict; nothing in a form that there is not."""
    import typing

    from gradcheck_cli.records import Scan
    from gradcheck_cli.reporting import render
    from gradcheck_cli.reporting.base import Look
    from gradcheck_cli.settings import Format
    from gradcheck_cli.targets import seen_from_root

    if form not in typing.get_args(Format):
        return ""
    return render((Scan(target=target, error=error.failure()),), Look(format=str(form), folder=seen_from_root()))


def outputs_asked_for(arguments: Sequence[str], environment: Mapping[str, str]) -> Outputs:
    """Read the outputs from a command line that cannot be understood as a whole, else from the environment."""
    typed = typed_outputs(arguments)
    if any(form for form, _ in typed):
        return typed
    return [(form, None) for form in environment.get("GRADCHECK_FORMAT", "").split(",") if form]


def usage_error(stop: SystemExit) -> GradcheckError | None:
    """Build E673 from the end that typer made of a command line that it could not understand."""
    cause = stop.__context__
    if cause is None or not hasattr(cause, "format_message"):  # only click has it, which typer brings along under its own name
        return None
    return GradcheckError("E673", "the command line is not understood", cause.format_message(), "see gradcheck scan --help")
