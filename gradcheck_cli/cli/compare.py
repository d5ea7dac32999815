"""`gradcheck compare OLD NEW`: what two reports of one model differ in, layer by layer."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradcheck_cli.cli.flags import Color
from gradcheck_cli.cli.no_verdict import leave_documents
from gradcheck_cli.cli.terminal import check_writable, emit, save, screen
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.options import check, closest
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.settings import STDOUT

if TYPE_CHECKING:  # imported when the command runs, so that --help stays quick
    from gradcheck_cli.records import Compared

_FORMATS = ("text", "markdown", "json")


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The earlier report, from scan --format json.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The later one.")],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "--output-format",
            metavar="|".join(_FORMATS),
            help="Form of the output.",
            autocompletion=lambda incomplete: [word for word in _FORMATS if word.startswith(incomplete)],
        ),
    ] = "text",
    fail_on_regression: Annotated[
        str | None,
        typer.Option(metavar="DECADES", help="Exit with 1 when a layer or a spine is worse by so many decades."),
    ] = None,
    layers: Annotated[str, typer.Option(metavar="all|worst|none", help="Layers in the table.")] = "worst",
    color: Color = "auto",
    output_file: Annotated[
        str | None, typer.Option("--output-file", "-o", metavar="FILE", help="Write to this file instead of the screen.")
    ] = None,
) -> None:
    """Say which layers receive more or less gradient than in an earlier report, and what is found only now.

    Gradients are taken relative to the one at the loss end, so that the scale of the loss makes no difference.
    """
    outputs = [(format, output_file)] if format in _FORMATS else []
    try:
        look = Look(format=_format(format), layers=check("layers", layers, "--layers"))
        limit = None if fail_on_regression is None else check("fail_on_regression", fail_on_regression, "--fail-on-regression")
        painted = check("color", color, "--color")
        _check_output(output_file, (old, new))
    except GradcheckError as error:
        leave_documents(error, outputs)
        raise
    from gradcheck_cli.gate.comparison import compare_scans, exit_code
    from gradcheck_cli.gate.stored import read_scans

    try:
        compared = compare_scans(read_scans(old), read_scans(new))
    except GradcheckError as error:
        leave_documents(error, outputs, to_files=True)
        raise
    _deliver(compared, look, painted, output_file)
    code = exit_code(compared, limit)
    if code == 1:
        _say_regression(compared, limit)
    raise typer.Exit(code)


def _format(given: str) -> str:
    if given in _FORMATS:
        return given
    accepted = f"one of {', '.join(_FORMATS)}"
    near = closest(given, _FORMATS)
    do = f"did you mean `{near}`?" if near else f"give {accepted}"
    raise GradcheckError("E675", f"--format cannot be {given!r}", f"it takes {accepted}", do)


def _check_output(file: str | None, inputs: tuple[str, str]) -> None:
    """Raise E679 for a place that cannot be written, E680 where the result would take the place of a report."""
    if file in (None, STDOUT):
        return
    check_writable(str(file))
    if Path(str(file)).resolve() in [Path(path).resolve() for path in inputs]:
        raise GradcheckError(
            "E680",
            f"--output-file would overwrite {file}",
            "it is one of the two reports",
            "give another path for the comparison",
        )


def _deliver(compared: Compared, look: Look, painted: str, file: str | None) -> None:
    """Write the result; in a file it leaves a line for each target on stderr, as does what has no verdict."""
    from gradcheck_cli.reporting.comparison import render
    from gradcheck_cli.reporting.comparison_words import summary, uncompared

    on_screen = file in (None, STDOUT)
    if on_screen:
        place = screen(painted)
        emit(render(compared, dataclasses.replace(place, format=look.format, layers=look.layers)))
    else:
        save(render(compared, dataclasses.replace(look, color=painted == "always")), str(file))
        for each in compared.comparisons:
            name = f"{each.new.target}: " if len(compared.comparisons) > 1 else ""
            sys.stderr.write(clean(f"{name}{summary(each)}") + "\n")
    if not on_screen or look.format != "text":
        sys.stderr.writelines(f"{clean(uncompared(each))}\n" for each in compared.uncompared)
    if not on_screen:
        sys.stderr.write(f"comparison written to {clean(str(file))}\n")


def _say_regression(compared: Compared, limit: float | None) -> None:
    """Say on stderr why the exit code is 1: no format says what the limit was."""
    from gradcheck_cli.gate.comparison import worst_regression

    worst = max(map(worst_regression, compared.comparisons))
    told = f"{worst:.2g} decades" if math.isfinite(worst) else "a gradient is gone or no longer finite"
    sys.stderr.write(f"regression: {told} (limit {limit:g})\n")
