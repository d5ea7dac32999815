"""Errors of the run itself: in-place edits (E562), and where a graph ends (E453)."""

from __future__ import annotations

import re
import sys
import warnings
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gradcheck_cli.errors import GradcheckError, message
from gradcheck_cli.loading.base import Batch, Objective, Subject
from gradcheck_cli.loading.frames import is_user_file, one_line, shown_from, shown_path
from gradcheck_cli.loading.rehearsal import rehearsal
from gradcheck_cli.loading.scene import Scene
from gradcheck_cli.loading.tensor_tree import named_tensors

_INPLACE = re.compile(
    r"modified by an inplace operation: \[.*?\], which is output \d+ of (\w+)|modified by an inplace operation"
)
_LEAF = re.compile(r"(a view of )?a leaf Variable that requires grad is being used in an in-place operation")
_FILE_LINE = re.compile(r'File "([^"]+)", line (\d+)')


def translate(error: BaseException, scene: Scene) -> GradcheckError | None:
    """E562 for an in-place edit that broke autograd, None for other errors."""
    text = message(error)
    if _LEAF.search(text):
        return GradcheckError(
            "E562",
            "a parameter is edited in place while gradients are recorded",
            one_line(error, 160),
            "make the edit under torch.no_grad(), or use a new tensor",
        )
    match = _INPLACE.search(text)
    if match is None:
        return None
    operation, line = _named_by_anomaly_mode(scene)
    operation = operation or (match[1] or "an operation").removesuffix("Backward0")
    why = f"backward needs its output as it was; it was computed at {line}" if line else "backward needs its output as it was"
    return GradcheckError(
        "E562",
        f"the output of `{operation}` was changed in place before backward",
        why,
        "replace the in-place edit after it (`+=`, `mul_`, `inplace=True`, `x[...] =`) by one that makes a new tensor",
        where=line,
    )


def _named_by_anomaly_mode(scene: Scene) -> tuple[str | None, str | None]:
    """Operation and user line, from a second run on a copy in which torch records where each operation was called."""
    for objective in scene.subject.objectives:
        with rehearsal(scene.subject.model) as copied, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                with torch.autograd.detect_anomaly(check_nan=False):
                    objective.compute(copied, scene.batch).loss.backward()  # type: ignore[no-untyped-call]
            except Exception:  # the error that is being explained
                pass
        for warning in caught:
            found = re.search(r"Error detected in (\w+?)(?:Backward\d*)?\.", str(warning.message))
            if found:
                lines = [(f, n) for f, n in _FILE_LINE.findall(str(warning.message)) if is_user_file(f)]
                return found[1], f"{shown_path(lines[-1][0], shown_from())}:{lines[-1][1]}" if lines else None
    return None, None


def explain_unreachable(subject: Subject, objective: Objective, batch: Batch) -> GradcheckError:
    """E453 with the operation at which the graph from the parameters to the loss ends, found in a second run on a copy."""
    with rehearsal(subject.model) as copied, _GraphEnds() as seen:
        try:
            objective.compute(copied, batch)
        except Exception:  # the second run only serves to look
            pass
    what = "the loss does not depend on any trainable parameter through differentiable operations"
    if seen.ends:
        name, line, switched_off = seen.ends[-1]
        why = (
            f"gradients are switched off around `{name}` (no_grad or inference_mode)"
            if switched_off
            else f"`{name}` cuts the graph"
        )
        return GradcheckError(
            "E453", what, why, f"remove it at {line}" if line else "remove it from forward or the loss", where=line
        )
    if not any(p.requires_grad for p in subject.model.parameters()):
        return GradcheckError("E453", what, "no parameter of the model requires a gradient", "use --unfreeze")
    return GradcheckError(
        "E453",
        what,
        "the graph ends before the parameters: .item(), .numpy(), an integer conversion, or quantised layers",
        "look for these in forward and in the loss function",
    )


class _GraphEnds(TorchFunctionMode):
    """Notes every operation that takes a tensor with a gradient and gives one without: its name, user line, grad mode off?"""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[tuple[str, str | None, bool]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and not result.requires_grad:
            inputs = [t for _, t in named_tensors([list(args), dict(kwargs or {})])]
            if any(t.requires_grad for t in inputs):
                name = getattr(func, "__name__", str(func))
                name = getattr(func.__self__, "__name__", name) if name == "__get__" else name  # `.data` is an attribute
                if name not in ("grad", "_base"):  # read by torch itself
                    self.ends.append((name, _user_line(), not torch.is_grad_enabled()))
        return result


def _user_line() -> str | None:
    frame = sys._getframe(2)
    while frame is not None:
        if is_user_file(frame.f_code.co_filename):
            return f"{shown_path(frame.f_code.co_filename, shown_from())}:{frame.f_lineno}"
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None
