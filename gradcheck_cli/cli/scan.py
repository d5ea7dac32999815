"""`gradcheck scan`: measure one model and say whether its gradients are healthy."""

from __future__ import annotations

import dataclasses
import inspect
import os
import sys
import typing
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from gradcheck_cli.cli.launching import Worker
from gradcheck_cli.configuration import configure
from gradcheck_cli.options import Field, fields
from gradcheck_cli.records import SEVERITIES, Report, Severity

_T = TypeVar("_T", bound=Callable[..., Any])


def _flag(field: Field) -> inspect.Parameter:
    """Turn an option into a Typer parameter whose default is None: only what was typed counts as given."""
    option, several = field.option, typing.get_origin(field.hint) is tuple or field.option.repeat
    literal = typing.get_args(field.hint) if typing.get_origin(field.hint) is typing.Literal else ()
    metavar = option.metavar or "|".join(literal) or ("CODES" if several else None)
    shown = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    help = option.help if shown in (None, False, "") or shown == {} else f"{option.help} [default: {shown}]"
    kind: Any = bool if field.hint is bool else list[str] if several else str
    if metavar is None and field.hint in (int, float):
        metavar = "NUMBER"
    names = (f"--{field.key}", *option.short)
    typed = Annotated[kind | None, typer.Option(*names, help=help, metavar=None if kind is bool else metavar)]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=typed)


def _with_options(command: _T) -> _T:
    """Give a command all options as flags in place of its `**flags`."""
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
    parameters = [*own, *(_flag(f) for f in fields().values())]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


@_with_options
def scan(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="model.py, model.py:name, package.module:name or a checkpoint.")],
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="Read this file instead of pyproject.toml.")
    ] = None,
    isolated: Annotated[bool, typer.Option("--isolated", help="Read no configuration file.")] = False,
    **flags: Any,
) -> None:
    """Measure the gradients of a model and say what is wrong with them. This runs the model's file."""
    configured = configure(target, flags, os.environ, config=config, isolated=isolated)
    settings = dataclasses.replace(configured.settings, script_args=context.obj or ())
    with Worker(settings, _print_of_model) as worker:
        from gradcheck_cli.reporting import render
        from gradcheck_cli.reporting.base import Look

        report = worker.report()
    display = configured.display
    sys.stdout.write(render(report, Look(format=display.format, layers=display.layers, depth=display.depth)))
    raise typer.Exit(exit_code(report, settings.fail_on))


def _print_of_model(line: str) -> None:
    from gradcheck_cli.reporting.clean import clean

    sys.stderr.write(f"| {clean(line)}\n")


def exit_code(report: Report, fail_on: Severity) -> int:
    """Return 1 when a finding is at least as grave as `fail_on`, else 0."""
    worst = report.worst()
    return int(worst is not None and SEVERITIES.index(worst) <= SEVERITIES.index(fail_on))
