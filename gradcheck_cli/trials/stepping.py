"""One training step on a copy: scaled loss, clipped gradients, warmed-up learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gradcheck_cli.trials.base import Loop, NotApplicable
from gradcheck_cli.trials.optimizer import build

_TINY = 1e-6  # what torch.nn.utils.clip_grad_norm_ adds to the norm
BACKOFF = 0.5  # what torch.amp.GradScaler multiplies the scale by after a step with non-finite gradients


class Stepper:
    """Steps the trainable parameters of a model as a loop says.

    float16 parameters are stepped through float32 copies (Micikevicius 2018, section 3.1) when the loss is scaled, as the
    scaled gradient, divided again, would underflow a second time; and when the optimizer merely stands in, as Adam's eps
    rounds to zero in float16. An optimizer of the user's own without loss scaling steps them as they are.
    """

    def __init__(self, model: nn.Module, loop: Loop) -> None:
        self.loop, self.scale, self.taken = loop, loop.loss_scale, 0
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        if not self.parameters:
            raise NotApplicable("no parameter is trainable")
        mixed = loop.assumed or loop.loss_scale != 1.0
        self.stepped = [_single(p) if mixed and p.dtype is torch.float16 else p for p in self.parameters]
        self.optimizer = build(loop.optimizer, self.stepped)

    def step(self, loss: Tensor) -> None:
        """Run the backward pass and take one step; with a loss scale, skip it and halve the scale if a gradient overflowed."""
        self.clear()
        scaled_up(loss, self.scale).backward()  # type: ignore[no-untyped-call]
        gradients = self._gradients()
        if self.loop.loss_scale != 1.0 and not all(bool(torch.isfinite(g).all()) for g in gradients):
            self.scale *= BACKOFF
            return
        if self.loop.clip_norm is not None:
            clip_norm(gradients, self.loop.clip_norm)
        if self.loop.clip_value is not None:
            clip_value(gradients, self.loop.clip_value)
        self.taken += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.loop.optimizer.lr * min(1.0, self.taken / max(self.loop.warm_up, 1))
        self.optimizer.step()
        with torch.no_grad():
            for parameter, stepped in zip(self.parameters, self.stepped, strict=True):
                if stepped is not parameter:
                    parameter.copy_(stepped)

    def clear(self) -> None:
        """Drop all gradients."""
        for parameter in (*self.parameters, *self.stepped):
            parameter.grad = None

    def _gradients(self) -> list[Tensor]:
        """Dense, unscaled gradients, put where the optimizer reads them."""
        found = []
        for parameter, stepped in zip(self.parameters, self.stepped, strict=True):
            gradient = parameter.grad
            if gradient is None:
                continue
            if gradient.layout is not torch.strided:
                gradient = gradient.to_dense()  # most optimizers, and the clipping below, take no sparse ones
            gradient = gradient.to(stepped.dtype)
            stepped.grad = gradient if self.scale == 1.0 else gradient / self.scale
            found.append(stepped.grad)
        return found


def scaled_up(loss: Tensor, scale: float) -> Tensor:
    """The loss times a scale, as GradScaler takes it: in float32 when it comes in half precision."""
    if scale == 1.0:
        return loss
    return (loss.float() if loss.dtype in (torch.float16, torch.bfloat16) else loss) * scale


def clip_norm(gradients: Iterable[Tensor], limit: float) -> float:
    """Scale dense gradients in place so that their common L2 norm is at most `limit`; return the norm as it was.

    Summed in float64: float16 norms do not overflow. A NaN leaves all as they are, so that it is seen in the weights.
    """
    gradients = list(gradients)
    norms = [torch.linalg.vector_norm(_wide(g)).item() for g in gradients]
    total = math.sqrt(sum(n * n for n in norms))
    if total + _TINY > limit:
        for gradient in gradients:
            gradient.copy_(_wide(gradient) * (limit / (total + _TINY)))
    return total


def clip_value(gradients: Iterable[Tensor], limit: float) -> None:
    """Clamp every element of dense gradients in place to [-limit, limit]; NaN stays NaN."""
    for gradient in gradients:
        (torch.view_as_real(gradient) if gradient.is_complex() else gradient).clamp_(-limit, limit)


def _wide(gradient: Tensor) -> Tensor:
    return gradient.to(torch.complex128 if gradient.is_complex() else torch.float64)


def _single(parameter: Tensor) -> Tensor:
    return parameter.detach().float().requires_grad_(True)
