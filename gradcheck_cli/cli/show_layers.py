"""`gradcheck scan --show-layers`: what would be measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradcheck_cli.cli.launching import Worker
from gradcheck_cli.cli.progress import show_print
from gradcheck_cli.cli.stderr import show_error
from gradcheck_cli.cli.terminal import emit, save, screen
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.outline import as_json, render

if TYPE_CHECKING:
    from gradcheck_cli.configuration import Configured
    from gradcheck_cli.records import Outline


def show_layers_of(targets: Sequence[Configured]) -> int:
    """Build each target's model in a worker and list its layers. Returns the exit code: 2 where a model cannot be built.

    Raises E680 for a form that a list of layers does not have.
    """
    display = targets[0].display
    form, file = display.outputs[0]
    if len(display.outputs) > 1 or form not in ("text", "json"):
        raise GradcheckError(
            "E680",
            f"--show-layers does not go with --format {display.outputs[-1][0]}",
            "layers are listed as text or as JSON, in one place",
            "use --format text or --format json",
        )
    outlined = [_outlined(target) for target in targets]
    for _, error in outlined:
        if error is not None:
            show_error(error, with_trace=display.traceback)
    if form == "json":
        named = [
            (target.settings.target, outline or (error.failure() if error else None))
            for target, (outline, error) in zip(targets, outlined, strict=True)
        ]
        text = as_json(named)
    else:
        text = render([outline for outline, _ in outlined if outline], screen(targets[0].color()) if file is None else Look())
    if file is None:
        emit(text)
    else:
        save(text, file)
    return 2 if any(error for _, error in outlined) else 0


def _outlined(target: Configured) -> tuple[Outline | None, GradcheckError | None]:
    try:
        with Worker(target.settings, None if target.display.quiet else show_print, "layers") as worker:
            return worker.outline(), None
    except GradcheckError as error:
        return None, error
