"""Does the output depend on the input at all?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.module import register_module_forward_pre_hook

from gradcheck_cli.loading.base import Batch, Outcome
from gradcheck_cli.probing.objective import main_output
from gradcheck_cli.probing.tensors import tensors_in
from gradcheck_cli.records import LayerProfile, TensorStats

_SAME = 1e-6  # variation between samples, relative, below which float32 outputs count as suspiciously equal


def input_dependence(
    run: Callable[[], Outcome], batch: Batch, output: TensorStats | None, layers: tuple[LayerProfile, ...]
) -> float | None:
    """How much the output changes with the input, relative to its size; 0 when it ignores it, None when that cannot be told.

    The variation between the samples of the batch tells for free in nearly all models. Only where it shows nothing is
    the forward pass run once more with other values in the input tensors, from the same random state.
    """
    if output is None:
        return None
    last = [
        x.sample_variation
        for x in layers
        if x.output is not None and x.output.shape == output.shape and x.sample_variation is not None
    ]
    if last and last[-1] > _SAME:
        return last[-1]
    inputs = [
        t
        for t in tensors_in([list(batch.args), dict(batch.kwargs)])
        if t.numel() and t.layout is torch.strided and not (t.is_nested or t.is_inference() or 0 in t.stride())
    ]
    saved = [t.detach().clone() for t in inputs]
    given: set[torch.Size] = set()
    handle = register_module_forward_pre_hook(lambda _module, args: given.update(t.shape for t in tensors_in(list(args))))
    try:
        before = main_output_value(run())  # with the graph on: a gradient penalty inside the loss needs it
    finally:
        handle.remove()
    if not any(tensor.shape in given for tensor in inputs):
        return None  # the loss feeds the model something of its own, not this batch
    try:
        with torch.no_grad():
            for tensor in inputs:
                _scramble(tensor)
        if all(torch.equal(tensor, value) for tensor, value in zip(inputs, saved, strict=True)):
            return None  # text, masks, one value everywhere: nothing that could be changed
        after = main_output_value(run())
    finally:
        with torch.no_grad():
            for tensor, value in zip(inputs, saved, strict=True):
                tensor.copy_(value)
    if before is None or after is None or before.is_nested or before.shape != after.shape:
        return None
    size = before.double().norm().item()
    return (before.double() - after.double()).norm().item() / size if size > 0 else None


def main_output_value(outcome: Outcome) -> Tensor | None:
    found = main_output(outcome.output)
    if found is not None:
        return found.detach()
    return next((t.detach() for t in tensors_in(outcome.output) if t.is_floating_point() and t.ndim > 0), None)


def _scramble(tensor: Any) -> None:
    """Other values of the same kind and range, in place; the caller restores them."""
    generator = torch.Generator().manual_seed(1)
    if tensor.is_floating_point():
        noise = torch.randn(tensor.shape, generator=generator).to(tensor)
        tensor.add_(noise * (tensor.abs().mean() + 1e-3))
    elif tensor.dtype is torch.bool or tensor.is_complex():
        return
    else:
        low, high = int(tensor.min()), int(tensor.max())
        tensor.copy_(torch.randint(low, high + 1, tensor.shape, generator=generator))
