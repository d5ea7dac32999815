"""The losses torch has, by kind, and how output and target are fitted to them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.tensor_tree import named_tensors

_MODULES: Mapping[type[nn.Module], str] = {
    nn.CrossEntropyLoss: "cross_entropy",
    nn.NLLLoss: "nll",
    nn.BCELoss: "bce",
    nn.BCEWithLogitsLoss: "bce_logits",
    nn.MSELoss: "mse",
    nn.L1Loss: "l1",
    nn.HuberLoss: "huber",
    nn.SmoothL1Loss: "huber",
}
FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "nll": F.nll_loss,
    "bce": F.binary_cross_entropy,
    "bce_logits": F.binary_cross_entropy_with_logits,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
}
CLASS_KINDS = ("cross_entropy", "nll")
_OUTPUT_KEYS = ("logits", "output", "out", "prediction", "predictions", "pred", "preds", "y_hat", "y_pred", "scores")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Output and target as the loss takes them, and what was guessed for it."""

    output: Tensor
    target: Any
    notes: tuple[str, ...] = ()


def kind_of(loss: Any) -> tuple[str, int | None]:
    """Kind and ignore_index of a loss object or function; "other" when torch has no such loss."""
    for module, kind in _MODULES.items():
        if type(loss) is module:
            return kind, getattr(loss, "ignore_index", None)
    bound: Mapping[str, Any] = {}
    if isinstance(loss, functools.partial):
        loss, bound = loss.func, loss.keywords
    for kind, function in (*FUNCTIONS.items(), ("huber", F.smooth_l1_loss)):
        if loss is function:
            ignored = bound.get("ignore_index", -100) if kind in CLASS_KINDS else None
            return kind, ignored
    return "other", None


def fit(kind: str, output: Any, target: Any, *, lenient: bool) -> Fitted:
    """Pick the tensor the loss is taken of and bring class targets into torch's shape.

    `lenient` says that the loss is our choice, so that dtype and shape of the target may be adapted too; with the user's own
    loss what the user's training loop would meet has to be met.
    """
    tensor, notes = pick_output(output, target, kind)
    if not isinstance(target, Tensor):
        return Fitted(output=tensor, target=target, notes=notes)
    if kind in CLASS_KINDS:
        return _fit_classes(tensor, target, notes, lenient)
    if lenient:
        if target.shape != tensor.shape and target.numel() == tensor.numel():
            notes += (f"the target {list(target.shape)} was reshaped to the output's {list(tensor.shape)}",)
            target = target.reshape(tensor.shape)
        return Fitted(output=tensor, target=target.to(tensor.dtype), notes=notes)
    if kind in ("bce", "bce_logits") and target.shape != tensor.shape and target.numel() == tensor.numel():
        # torch refuses this, so the training loop must reshape too
        notes += (f"the target {list(target.shape)} was reshaped to the output's {list(tensor.shape)}",)
        return Fitted(output=tensor, target=target.reshape(tensor.shape), notes=notes)
    both = _broadcast_shape(tensor, target)
    if target.shape != tensor.shape and kind in ("mse", "l1", "huber") and both is not None:
        notes += (
            f"the loss compares an output of shape {list(tensor.shape)} with a target of shape {list(target.shape)}, "
            f"which torch broadcasts to {both}: every output meets every target",
        )
    return Fitted(output=tensor, target=target, notes=notes)


def _broadcast_shape(a: Tensor, b: Tensor) -> list[int] | None:
    try:
        return list(torch.broadcast_shapes(a.shape, b.shape))  # type: ignore[no-untyped-call]
    except RuntimeError:
        return None


def _fit_classes(output: Tensor, target: Tensor, notes: tuple[str, ...], lenient: bool) -> Fitted:
    if target.is_floating_point() and target.shape == output.shape:  # class probabilities
        return Fitted(output=output, target=target, notes=notes)
    if lenient and not target.is_floating_point():
        target = target.long()
    standard = output.dim() >= 1 and target.shape == output.shape[:1] + output.shape[2:]
    if not standard and output.dim() > 2 and target.shape == output.shape[:-1]:
        notes += (
            f"the loss is taken over all positions: output {list(output.shape)} and target {list(target.shape)} flattened",
        )
        return Fitted(output=output.flatten(0, -2), target=target.flatten(), notes=notes)
    if not standard and output.dim() == 2 and target.shape == (output.shape[0], 1):
        notes += (f"the target {list(target.shape)} was flattened to {[target.shape[0]]}",)
        return Fitted(output=output, target=target[:, 0], notes=notes)
    return Fitted(output=output, target=target, notes=notes)


def pick_output(output: Any, target: Any, kind: str = "") -> tuple[Tensor, tuple[str, ...]]:
    """The output tensor that the loss is taken of, and the guess that this was; raises E455 when several could be meant."""
    if isinstance(output, Tensor):
        return output, ()
    leaves = {path: t for path, t in named_tensors(output) if t.is_floating_point() or t.is_complex()}
    chosen = next((k for k in _OUTPUT_KEYS if k in leaves), None)
    if chosen is None and len(leaves) == 1:
        chosen = next(iter(leaves))
    if chosen is None and isinstance(target, Tensor):
        fitting = [path for path, tensor in leaves.items() if _fits(tensor, target, kind)]
        chosen = fitting[0] if len(fitting) == 1 else None
    if chosen is None and isinstance(output, (tuple, list)) and "0" in leaves:
        chosen = "0"
    if chosen is None:
        listed = (
            ", ".join(f"`{path}` {list(tensor.shape)}" for path, tensor in leaves.items())
            or f"a {type(output).__name__} without tensors"
        )
        raise GradcheckError(
            "E455",
            "the model's output has several parts, and which one the loss is taken of is not known",
            f"the output is {listed}",
            "add `def loss_fn(output, target): ...` to the file, or use --loss projection",
        )
    return leaves[chosen], (f"the loss is taken of part `{chosen}` of the model's output",)


def _fits(output: Tensor, target: Tensor, kind: str) -> bool:
    """Whether the shapes of an output and a target belong together under a loss of this kind."""
    if not target.is_floating_point() and kind in ("", *CLASS_KINDS):
        rows = output.shape[:1] + output.shape[2:]
        return output.dim() >= 2 and target.shape in (rows, output.shape[:-1])
    return output.shape == target.shape


def infer_kind(output: Tensor, target: Tensor) -> tuple[str, str]:
    """The loss that output and target suggest, and why in words."""
    shapes = f"output {list(output.shape)}, target {list(target.shape)} {str(target.dtype).removeprefix('torch.')}"
    if _are_classes(output, target):
        sums = output.detach().double().logsumexp(_class_dim(output, target))
        if torch.allclose(sums, torch.zeros((), dtype=torch.float64), atol=1e-4):
            return "nll", f"{shapes}: log-probabilities of classes"
        return "cross_entropy", f"{shapes}: classes"
    binary = bool(((target == 0) | (target == 1)).all()) and target.numel() > 0
    if output.numel() == target.numel() and binary:
        within = bool(((output >= 0) & (output <= 1)).all())
        return (
            ("bce", f"{shapes}: targets 0 and 1, outputs within [0, 1]")
            if within
            else ("bce_logits", f"{shapes}: targets 0 and 1")
        )
    return "mse", f"{shapes}: numbers"


def _class_dim(output: Tensor, target: Tensor) -> int:
    return 1 if target.shape == output.shape[:1] + output.shape[2:] else -1


def _are_classes(output: Tensor, target: Tensor) -> bool:
    """Whether integer targets index a dimension of at least two outputs."""
    if target.is_floating_point() or target.is_complex() or output.shape == target.shape or not _fits(output, target, ""):
        return False
    classes = output.shape[_class_dim(output, target)]
    return classes > 1 and target.numel() > 0 and int(target.max()) < classes


def are_probabilities(output: Tensor, target: Tensor) -> bool:
    """Whether the outputs are positive and sum to 1 over the classes."""
    values = output.detach().double()
    return bool((values >= 0).all()) and torch.allclose(
        values.sum(_class_dim(output, target)), torch.ones((), dtype=torch.float64), atol=1e-4
    )


def random_projection(output: Any, seed: int) -> Tensor:
    """Sum of all floating parts of the output, each weighted by fixed standard normal numbers and divided by √numel.

    A plain sum would be constant behind a softmax or a LayerNorm.
    """
    generator = torch.Generator().manual_seed(seed)
    total: Tensor | None = None
    for _, tensor in named_tensors(output):
        if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.numel() == 0:
            continue
        values = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        weights = torch.randn(values.shape, generator=generator).to(values)
        part = (values * weights).sum() / math.sqrt(values.numel())
        total = part if total is None else total + part
    if total is None:
        raise GradcheckError(
            "E455",
            "the model's output holds no floating-point tensor",
            f"it is a {type(output).__name__}",
            "return a tensor from forward, or add `def loss_fn(model, batch): ...` to the file",
        )
    return total
