"""Tell an exception of the user's forward, loss or backward in the user's terms: what was expected, what came, what to do."""

from __future__ import annotations

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import environment_errors, explain_data, explain_dtypes, explain_loss, explain_run, program_end
from gradcheck_cli.loading.base import Batch, Subject
from gradcheck_cli.loading.frames import one_line, shown_from
from gradcheck_cli.loading.import_errors import located
from gradcheck_cli.loading.scene import Scene, innermost_module


def translate(
    error: BaseException, subject: Subject, batch: Batch | None = None, *, phase: str = "forward", layer: str | None = None
) -> GradcheckError:
    """Find the error id for what a run of the model raised.

    `phase` is "forward" or "backward"; `layer` names the innermost module whose forward had not returned. Without it the
    traceback tells; where no module of the model is in it, the loss raised it.
    """
    if isinstance(error, GradcheckError):
        return error
    layer = layer if layer is not None else innermost_module(error, subject.model)
    scene = Scene(subject=subject, batch=batch or subject.batches[0], phase=phase, layer=layer)
    told = (
        program_end.translate(error)
        or environment_errors.translate(error)
        or explain_loss.translate(error, scene)
        or explain_dtypes.translate(error, scene)
        or explain_data.translate(error, scene)
        or explain_run.translate(error, scene)
        or _generic(error, scene)
    )
    return located(told, error, shown_from())


def _generic(error: BaseException, scene: Scene) -> GradcheckError:
    place = f"in {scene.shown_layer}" if scene.layer is not None else "in the loss" if scene.phase == "forward" else ""
    return GradcheckError(
        "E561",
        f"{scene.phase} raised {place}".rstrip(),
        f"{one_line(error)}; inputs were {scene.inputs()}",
        "correct it; --traceback shows your frames",
    )
