"""`gradcheck scan`: measure models and say whether their gradients are healthy."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradcheck_cli.cli.comparing import read_earlier, with_comparisons
from gradcheck_cli.cli.flags import with_options
from gradcheck_cli.cli.no_verdict import leave_documents, outputs_asked_for
from gradcheck_cli.cli.preparing import ConfigFile, Isolated, Targets, check_baselines, end_on_signals, prepare
from gradcheck_cli.cli.scanning import Ended, Interrupted, scan_targets
from gradcheck_cli.cli.stderr import show_error
from gradcheck_cli.cli.terminal import emit
from gradcheck_cli.errors import GradcheckError

if TYPE_CHECKING:  # imported when a scan runs, so that --help stays quick
    from gradcheck_cli.configuration import Configured
    from gradcheck_cli.records import Scan


@with_options
def scan(
    context: typer.Context,
    targets: Targets = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Show every setting and where it comes from; scan nothing.")
    ] = False,
    show_layers: Annotated[
        bool, typer.Option("--show-layers", help="Build the models and list their layers; measure nothing.")
    ] = False,
    **flags: Any,
) -> None:
    """Measure models' gradients and say what is wrong with them. This runs the models' files.

    What follows -- is passed to a model's file as its own arguments.
    """
    end_on_signals()
    asked = outputs_asked_for(context.obj.arguments, os.environ)
    try:
        configured = prepare(context.obj, targets or (), flags, config=config, isolated=isolated)
        if show_settings:
            from gradcheck_cli.cli.settings_text import settings_text

            emit(settings_text(configured))
            return
        earlier = read_earlier(configured[0].gate)
        check_baselines(configured)
    except GradcheckError as error:
        leave_documents(error, asked)
        raise
    if show_layers:
        from gradcheck_cli.cli.show_layers import show_layers_of

        raise typer.Exit(show_layers_of(configured))
    begun = time.monotonic()
    try:
        ended = scan_targets(configured)
    except Interrupted as early:
        _deliver_interrupted(early.ended, configured)
        raise typer.Exit(130) from None
    code = _deliver(ended, configured, earlier)
    if configured[0].display.verbose:
        sys.stderr.write(f"{time.monotonic() - begun:.1f} s\n")
    raise typer.Exit(code)


def _deliver(ended: Sequence[Ended], configured: Sequence[Configured], earlier: Sequence[Scan] | None) -> int:
    """Show errors and reports, and return the exit code."""
    from gradcheck_cli.cli.delivery import deliver
    from gradcheck_cli.gate.suppression import settle

    first = configured[0]
    errors = [one.error for one in ended if one.error]
    for error in errors:
        show_error(error, with_trace=first.display.traceback)
    if errors and len(ended) == 1:
        leave_documents(errors[0], first.display.outputs, target=ended[0].target, to_files=True)
        return 2
    scans, compared = with_comparisons(settle([one.scan() for one in ended]), earlier, first.gate.fail_on_regression)
    deliver(scans, first, os.environ)
    found = [
        s.report.fails(c.settings.fail_on) and not c.gate.exit_zero for s, c in zip(scans, configured, strict=True) if s.report
    ]
    regressed = 0 if first.gate.exit_zero and compared == 1 else compared
    return 2 if errors else max(regressed, *found)


def _deliver_interrupted(ended: Sequence[Ended], configured: Sequence[Configured]) -> None:
    """Show what is known: a target whose trials were cut short has its verdict."""
    from gradcheck_cli.cli.delivery import deliver

    known = sum(one.report is not None for one in ended)
    if known:
        deliver([one.scan() for one in ended], configured[0], os.environ)
    verdicts = f"{known} of {len(ended)} targets have a verdict" if len(ended) > 1 else "the trials were cut short"
    said = verdicts if known else "there is no verdict yet"
    show_error(GradcheckError("E573", "interrupted", said, "run it again"), with_trace=False)
