"""Make targets for a loss that needs them where the data has none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import standard_losses
from gradcheck_cli.loading.base import Batch, Objective
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.frames import one_line
from gradcheck_cli.loading.rehearsal import output_of, rehearsal
from gradcheck_cli.loading.tensor_tree import named_tensors

_Maker = Callable[[Any, Batch, torch.Generator], Tensor]


def with_targets(
    context: Context, model: nn.Module, objective: Objective, batches: tuple[Batch, ...], *, whole_batch: bool = False
) -> tuple[Batch, ...]:
    """The batches with random targets that the loss accepts; raises E339.

    An autoencoder keeps its input as target, and a loss of the `whole_batch` may do without.
    """
    seed = context.settings.seed
    output = output_of(model, batches[0], seed)
    if objective.kind != "other" and _reconstructs(objective.kind, output, batches[0]):
        return batches
    if whole_batch and _runs(model, objective, batches[0]):
        return batches
    last: Exception | None = None
    for name, maker in _makers(objective.kind, output):
        try:
            made = tuple(_given(batch, maker(output, batch, _generator(seed + i))) for i, batch in enumerate(batches))
            with rehearsal(model) as copied:
                objective.compute(copied, made[0])
        except GradcheckError:
            raise
        except Exception as exc:
            last = exc
            continue
        context.assume(f"no target was found: targets are made up, {name}")
        return made
    raise GradcheckError(
        "E339",
        f"the loss `{objective.name}` needs a target and the data has none",
        f"targets made up for it failed, the last with {one_line(last, 160)}" if last else "none could be made up",
        "give the target too, e.g. `y` beside `x`, or use --loss projection",
    )


def _runs(model: nn.Module, objective: Objective, batch: Batch) -> bool:
    with rehearsal(model) as copied:
        try:
            objective.compute(copied, batch)
        except Exception:
            return False
    return True


def for_step(batch: Batch, output: Any, seed: int) -> Iterator[Batch]:
    """A Lightning module's batch of made-up inputs, completed to (input, target) in the ways its step may expect."""
    for _, maker in _makers("other", output):
        try:
            yield _given(batch, maker(output, batch, _generator(seed)))
        except GradcheckError:
            continue


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _given(batch: Batch, target: Tensor) -> Batch:
    """The batch with a target; its raw form is the pair (input, target)."""

    def assemble(args: tuple[Any, ...], kwargs: Any, target: Any) -> Any:
        inputs = [*args, *kwargs.values()]
        return (inputs[0] if len(inputs) == 1 else tuple(inputs), target)

    return dataclasses.replace(batch, target=target, assemble=assemble)


def _reconstructs(kind: str, output: Any, batch: Batch) -> bool:
    inputs = [*batch.args, *batch.kwargs.values()]
    shapes = [tensor.shape for _, tensor in named_tensors(output)]
    return kind in ("mse", "l1", "huber") and bool(inputs) and isinstance(inputs[0], Tensor) and inputs[0].shape in shapes


def _makers(kind: str, output: Any) -> list[tuple[str, _Maker]]:
    classes: list[tuple[str, _Maker]] = [("random classes", _classes)]
    binary: list[tuple[str, _Maker]] = [("random zeros and ones", _binary)]
    numbers: list[tuple[str, _Maker]] = [("random normal numbers", _numbers)]
    if kind in standard_losses.CLASS_KINDS:
        return classes
    if kind in ("bce", "bce_logits"):
        return binary
    if kind in ("mse", "l1", "huber"):
        return numbers
    wide = any(t.dim() >= 2 and t.shape[1] > 1 for _, t in named_tensors(output))
    return [*classes, *numbers, *binary] if wide else [*binary, *numbers]


def _classes(output: Any, batch: Batch, generator: torch.Generator) -> Tensor:
    """Class indices; the classes lie along the last dimension for a sequence of tokens, else along dimension 1."""
    tensor, _ = standard_losses.pick_output(output, None)
    inputs = [v for v in (*batch.args, *batch.kwargs.values()) if isinstance(v, Tensor)]
    per_token = tensor.dim() == 3 and bool(inputs) and inputs[0].shape[:2] == tensor.shape[:2]
    dim = -1 if per_token or tensor.dim() < 2 else 1
    shape = list(tensor.shape)
    count = shape.pop(dim) if shape else 1
    return torch.randint(0, max(count, 1), shape, generator=generator).to(tensor.device)


def _binary(output: Any, _batch: Batch, generator: torch.Generator) -> Tensor:
    tensor, _ = standard_losses.pick_output(output, None)
    return torch.randint(0, 2, tensor.shape, generator=generator).to(tensor)


def _numbers(output: Any, _batch: Batch, generator: torch.Generator) -> Tensor:
    tensor, _ = standard_losses.pick_output(output, None)
    return torch.randn(tensor.shape, generator=generator).to(tensor)
