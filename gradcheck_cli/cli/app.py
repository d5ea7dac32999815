"""The Typer application, and the one place where an exception becomes an exit code.

0: nothing at or above --fail-on. 1: findings. 2: no verdict. 130: interrupted. Python's own code for an uncaught
exception is 1, which would read as findings; so every stray exception is caught here.
"""

from __future__ import annotations

import os
import platform
import traceback
from typing import Annotated

import typer

from gradcheck_cli import __version__
from gradcheck_cli.cli.baseline import baseline
from gradcheck_cli.cli.compare import compare
from gradcheck_cli.cli.explain import explain
from gradcheck_cli.cli.fix import fix
from gradcheck_cli.cli.no_verdict import leave_documents, outputs_asked_for, usage_error
from gradcheck_cli.cli.outputs import Invocation
from gradcheck_cli.cli.rules import rules
from gradcheck_cli.cli.scan import scan
from gradcheck_cli.cli.stderr import show_error
from gradcheck_cli.cli.terminal import emit
from gradcheck_cli.errors import GradcheckError

HELP = """Gradient health for PyTorch models.

`gradcheck scan model.py` runs your model file. If you would not run `python model.py`, do not scan it.
"""

app = typer.Typer(
    name="gradcheck",
    help=HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (scan, fix, compare, explain, rules):
    app.command()(command)
app.add_typer(baseline)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            torch = version("torch")
        except PackageNotFoundError:
            torch = "not installed"
        emit(f"gradcheck {__version__} · Python {platform.python_version()} · torch {torch}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the versions and exit.")
    ] = False,
) -> None:
    pass


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code; what stands after `--` is for the user's file."""
    own, script = arguments, []
    if "--" in arguments:
        own, script = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    shown = "--traceback" in own
    try:
        app(own, prog_name="gradcheck", obj=Invocation(tuple(own), tuple(script)))
    except SystemExit as stop:
        if own[:1] in (["scan"], ["compare"]) and (misread := usage_error(stop)) is not None:
            leave_documents(misread, outputs_asked_for(own, os.environ))
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except GradcheckError as error:
        show_error(error, with_trace=shown)
        return 2
    except KeyboardInterrupt:
        return 130
    except BaseException as error:
        show_error(_internal(error), with_trace=shown)
        return 2
    return 0


def _internal(error: BaseException) -> GradcheckError:
    return GradcheckError(
        "E599",
        f"gradcheck itself failed: {type(error).__name__}: {error}",
        "this is a fault of gradcheck, not of your model",
        "please report it with the output of --traceback",
        trace="".join(traceback.format_exception(error)),
    )
