"""Errors of losses and targets (E451 to E453, E456, E457, E460)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from torch import Tensor

from gradcheck_cli.errors import GradcheckError, message
from gradcheck_cli.loading.base import Objective
from gradcheck_cli.loading.explain_dtypes import DTYPES
from gradcheck_cli.loading.frames import one_line
from gradcheck_cli.loading.scene import Scene

_Maker = Callable[["re.Match[str]", Scene], GradcheckError]


def translate(error: BaseException, scene: Scene) -> GradcheckError | None:
    """The loss error that the message stands for, None for other messages."""
    text = message(error)
    for pattern, make in _TABLE:
        match = re.search(pattern, text)
        if match is not None:
            return make(match, scene)
    if scene.layer is None and scene.phase == "forward" and re.search(_IN_LOSS_ONLY, text):
        return GradcheckError(
            "E457",
            "output and target do not fit in the loss",
            f"{one_line(error, 160)}; {_target(scene)}",
            "bring the target into the output's shape and dtype" + (", or give --loss" if _inferred(scene) else ""),
        )
    return None


def _target(scene: Scene) -> str:
    """What is known of the target; and the loss, where the file does not name it."""
    target: Any = scene.batch.target
    if isinstance(target, Tensor):
        said = f"the target is {list(target.shape)} {str(target.dtype).removeprefix('torch.')}"
    else:
        said = "the batch has no target" if target is None else f"the target is a {type(target).__name__}"
    return said + "".join(f"; the loss {o.name} was {o.origin}" for o in _inferred(scene))


def _inferred(scene: Scene) -> list[Objective]:
    return [o for o in scene.subject.objectives if o.origin.startswith("inferred")]


def _span(scene: Scene) -> str:
    target = scene.batch.target
    if isinstance(target, Tensor) and target.numel() and not target.is_complex():
        return f"targets span {target.min().item():g} to {target.max().item():g}"
    return _target(scene)


def _class_range(match: re.Match[str], scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E456",
        f"target {match[1]} is not one of the classes",
        f"{_span(scene)}; classes count from 0 to the output's width - 1",
        "give the last layer one output for each class, count classes from 0, or set ignore_index",
    )


def _class_dtype(match: re.Match[str], scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E457",
        f"class targets have to be int64 and are {DTYPES.get(match[1], match[1])}",
        _target(scene),
        "convert them: y.long()",
    )


def _one_hot(match: re.Match[str], scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E457",
        f"class probabilities have to be floating-point and are {DTYPES.get(match[1], match[1])}",
        _target(scene),
        "convert them: y.float(), or give class indices: y.argmax(1)",
    )


def _class_shape(match: re.Match[str], scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E457",
        "the shapes of output and class target do not fit",
        f"{match[0].rstrip('.')}; {_target(scene)}",
        "the output is [N, C] or [N, C, d], the target [N] or [N, d]; write `def loss_fn(output, target)` to reshape them",
    )


def _binary_range(match: re.Match[str], scene: Scene) -> GradcheckError:
    if match[1] == "target":
        return GradcheckError(
            "E457", "binary cross-entropy needs targets in [0, 1]", _span(scene), "scale the targets, or use another loss"
        )
    return GradcheckError(
        "E457",
        "binary cross-entropy needs outputs in [0, 1]",
        "the model's output lies outside: it has no sigmoid at its end",
        "use nn.BCEWithLogitsLoss on the raw output",
    )


def _binary_shape(match: re.Match[str], scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E457",
        f"target {match[1]} and output {match[2]} have different shapes",
        _target(scene),
        "reshape the target: y.view_as(output), e.g. in `def loss_fn(output, target)`",
    )


def _regression_dtype(match: re.Match[str], scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E457", "output and target have different dtypes", f"{match[0]}; {_target(scene)}", "convert the target: y.float()"
    )


def _not_scalar(_match: re.Match[str], scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E451",
        "the loss is not one number",
        f"backward needs a scalar; inputs were {scene.inputs()}",
        "use --reduce mean (or sum), or reduce it in the loss function",
    )


def _not_real(match: re.Match[str], _scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E452",
        f"the loss is of dtype {match[1]}",
        "a gradient is defined for a real floating-point loss only",
        "take its absolute value or real part",
    )


def _no_graph(_match: re.Match[str], _scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E453",
        "the loss does not depend on any trainable parameter through differentiable operations",
        "the graph ends before the parameters: detach(), no_grad(), argmax or .item() cuts it, or all is frozen",
        "look for these in the forward pass and in the loss function",
    )


def _inference(_match: re.Match[str], _scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E453",
        "a tensor made in torch.inference_mode() is used where a gradient is needed",
        "inference tensors cannot take part in backward",
        "use torch.no_grad() there, or clone the tensor",
    )


def _freed(_match: re.Match[str], _scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E460",
        "the graph was already used: something called backward before us",
        "backward frees what the forward pass saved",
        "do not call .backward() in forward or in the loss function, and compute the loss from a fresh forward",
    )


_TABLE: tuple[tuple[str, _Maker], ...] = (
    (r"Target (-?\d+) is out of bounds", _class_range),
    (r"expected target dtype to be Long or Byte, but got (\w+)", _class_dtype),
    (r"\"nll_loss\w*\" not implemented for '(\w+)'", _class_dtype),
    (r"Expected floating point type for target with class probabilities, got (\w+)", _one_hot),
    (r"Expected input batch_size \(\d+\) to match target batch_size \(\d+\)\.?", _class_shape),
    (r"0D or 1D target tensor expected, multi-target not supported", _class_shape),
    (r"Expected target size \[[\d, ]+\], got \[[\d, ]+\]", _class_shape),
    (r"all elements of (target|input) should be between 0 and 1", _binary_range),
    (r"[Tt]arget size \(torch\.Size\((\[[\d, ]*\])\)\).* input size \(torch\.Size\((\[[\d, ]*\])\)\)", _binary_shape),
    (r"Found dtype \w+ but expected \w+", _regression_dtype),
    (r"result type \w+ can't be cast to the desired output type \w+", _regression_dtype),
    (r"grad can be implicitly created only for scalar outputs", _not_scalar),
    (r"grad can be implicitly created only for real scalar outputs but got torch\.(\w+)", _not_real),
    (r"element 0 of tensors does not require grad", _no_graph),
    (r"Inference tensors cannot be saved for backward", _inference),
    (r"Trying to backward through the graph a second time", _freed),
)
_IN_LOSS_ONLY = (
    r"must match the size of tensor b|shapes cannot be multiplied|Sizes of tensors must match|is invalid for input of size"
)
