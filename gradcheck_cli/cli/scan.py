"""`gradcheck scan`: measure one model and say whether its gradients are healthy."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradcheck_cli.cli.flags import with_options
from gradcheck_cli.cli.no_verdict import leave_document
from gradcheck_cli.cli.progress import show_print, spinner
from gradcheck_cli.cli.stderr import show_error
from gradcheck_cli.cli.terminal import check_writable, emit, save, screen
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.reporting.base import Look

if TYPE_CHECKING:  # imported when a scan runs, so that --help stays quick
    from gradcheck_cli.configuration import Configured
    from gradcheck_cli.records import Report, Severity

_SELECTORS = {"select", "ignore", "extend_select"}


@with_options
def scan(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="model.py, model.py:name, package.module:name or a checkpoint.")],
    config: Annotated[str | None, typer.Option(metavar="FILE", help="Read FILE instead of pyproject.toml.")] = None,
    isolated: Annotated[bool, typer.Option("--isolated", help="Read no configuration file.")] = False,
    **flags: Any,
) -> None:
    """Measure a model's gradients and say what is wrong with them. This runs the model's file.

    What follows -- is passed to the model's file as its own arguments.
    """
    from gradcheck_cli.configuration import configure

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_, code=128 + number: sys.exit(code))
    form = flags.get("format") or os.environ.get("GRADCHECK_FORMAT")
    try:
        configured = configure(target, flags, os.environ, config=config, isolated=isolated)
        form = configured.display.format
        configured = dataclasses.replace(
            configured, settings=dataclasses.replace(configured.settings, script_args=context.obj or ())
        )
        check_settings(configured)
    except GradcheckError as error:
        leave_document(error, form)  # on stdout: the file may be what is wrong
        raise
    begun = time.monotonic()
    try:
        report = measure(configured)
    except GradcheckError as error:
        leave_document(error, form, configured.display.output_file)
        raise
    except Interrupted as early:
        if early.report is not None:
            _deliver(early.report, configured, time.monotonic() - begun)
        known = "the trials were cut short" if early.report else "there is no verdict yet"
        show_error(GradcheckError("E573", "interrupted", known, "run it again"), with_trace=False)
        raise typer.Exit(130) from None
    _deliver(report, configured, time.monotonic() - begun)
    raise typer.Exit(exit_code(report, configured.settings.fail_on))


def check_settings(configured: Configured) -> None:
    """Find what is wrong with the settings before the scan runs for minutes."""
    settings, display = configured.settings, configured.display
    if display.output_file:
        check_writable(display.output_file)
    if settings.rules or configured.origins.keys() & _SELECTORS:
        _check_rules(configured)
    if display.verbose:
        sys.stderr.write(f"configuration: {configured.file or 'none'}\n")
        sys.stderr.writelines(f"  {name} from {origin}\n" for name, origin in sorted(configured.origins.items()))


def _check_rules(configured: Configured) -> None:
    from gradcheck_cli.rules import load_rules
    from gradcheck_cli.rules.selection import check_selectors

    try:
        check_selectors(load_rules(), configured.settings)
    except GradcheckError as error:
        typed = any(not configured.from_file(name) for name in _SELECTORS & configured.origins.keys())
        if configured.file is not None and not typed:
            error.where = str(configured.file)
        raise


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with the report so far if there is a verdict."""

    def __init__(self, report: Report | None) -> None:
        super().__init__()
        self.report = report


def measure(configured: Configured) -> Report:
    """Run the worker; what the report needs for its rendering is imported while it works.

    An end that comes after the verdict, while remedies are tried, takes their trials and not the verdict. Raises
    Interrupted on Ctrl-C.
    """
    from gradcheck_cli.cli.endings import cut_short
    from gradcheck_cli.cli.launching import Worker

    settings, quiet = configured.settings, configured.display.quiet
    with Worker(settings, None if quiet else show_print) as worker:
        try:
            with spinner(settings.target, worker.phase, os.environ, wanted=not quiet):
                if configured.display.format == "text":
                    import gradcheck_cli.reporting.text  # noqa: F401
                return worker.report()
        except GradcheckError as error:
            interim = worker.interim()
            if interim is None:
                raise
            if configured.display.traceback:
                show_error(error, with_trace=True)
            return cut_short(interim, error)
        except KeyboardInterrupt:
            interim = worker.interim()
            stopped = GradcheckError("E573", "interrupted", "Ctrl-C", "run it again")
            raise Interrupted(None if interim is None else cut_short(interim, stopped)) from None


def _deliver(report: Report, configured: Configured, seconds: float) -> None:
    from gradcheck_cli.cli.sources import source_lines
    from gradcheck_cli.reporting import render

    display = configured.display
    place = Look(color=display.color == "always") if display.output_file else screen(configured.color())
    look = dataclasses.replace(
        place,
        format=display.format,
        layers=display.layers,
        depth=display.depth,
        verbose=display.verbose,
        hints=not display.quiet,
        source=source_lines(report),
    )
    text = render(report, look)
    if display.output_file is None:
        emit(text)
    else:
        save(text, display.output_file)
        if not display.quiet:
            from gradcheck_cli.reporting.summary import summary

            sys.stderr.write(f"{summary(report)}\nreport written to {display.output_file}\n")
    if display.verbose:
        sys.stderr.write(f"{seconds:.1f} s\n")


def exit_code(report: Report, fail_on: Severity) -> int:
    """Return 1 when a finding is at least as grave as `fail_on`, else 0."""
    from gradcheck_cli.records import SEVERITIES

    worst = report.worst()
    return int(worst is not None and SEVERITIES.index(worst) <= SEVERITIES.index(fail_on))
