"""`gradcheck scan --show-layers`: what would be measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradcheck_cli.cli.launching import Worker
from gradcheck_cli.cli.progress import show_print
from gradcheck_cli.cli.stderr import show_error
from gradcheck_cli.cli.terminal import emit, screen
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.reporting.outline import as_json, render

if TYPE_CHECKING:
    from gradcheck_cli.configuration import Configured


def show_layers_of(targets: Sequence[Configured]) -> int:
    """Build each target's model in a worker and list its layers. Returns the exit code: 2 where a model cannot be built."""
    outlines, failed = [], False
    for target in targets:
        try:
            with Worker(target.settings, None if target.display.quiet else show_print, "layers") as worker:
                outlines.append(worker.outline())
        except GradcheckError as error:
            failed = True
            show_error(error, with_trace=target.display.traceback)
    if outlines:
        as_text = "json" not in targets[0].display.format
        emit(render(outlines, screen(targets[0].color())) if as_text else as_json(outlines))
    return 2 if failed else 0
