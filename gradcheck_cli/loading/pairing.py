"""Bring data and loss together: which batch goes to the model how, and what is minimised when the file does not say."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import (
    find_batch,
    fit_batch,
    hugging_face,
    lightning_step,
    model_checks,
    objectives,
    shape_flags,
    standard_losses,
    synthesis,
    targets,
)
from gradcheck_cli.loading.base import Batch, Objective
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.data_file import read_data
from gradcheck_cli.loading.find_loss import FoundLoss, of_model
from gradcheck_cli.loading.found_data import FoundData
from gradcheck_cli.loading.layout import Layout
from gradcheck_cli.loading.rehearsal import output_of, rehearsal
from gradcheck_cli.loading.signatures import Signature, signature_of, takes_apart
from gradcheck_cli.loading.tensor_tree import named_tensors
from gradcheck_cli.loading.transfer import to_place

_OF_NUMBERS = ("mse", "l1", "huber", "bce", "bce_logits")


def gather(
    context: Context, model: nn.Module, losses: tuple[FoundLoss, ...]
) -> tuple[tuple[Batch, ...], tuple[Objective, ...]]:
    """Batches as the model is called with them, and the objectives to measure."""
    step = not losses and lightning_step.has_training_step(model)
    if not step and (not losses or any(found.runs_forward for found in losses)):
        model_checks.check_forward(model, context.base)
    forward = signature_of(model_checks.entry_of(model))
    data = _data(context, model, forward)
    context.data_origin = data.origin
    batches = _batches(context, model, forward, data, losses)
    if step:
        batches = _for_step(context, model, batches) if data.made else batches
        return batches, (lightning_step.find_objective(context, model, batches[0]),)
    if not losses:
        return _without_loss(context, model, forward, batches, data)
    for found in losses:
        if batches[0].target is None and (found.wants_target or (data.made and found.whole_batch)):
            batches = _completed(context, model, found, batches)
    return batches, tuple(found.objective for found in losses)


def _completed(context: Context, model: nn.Module, found: FoundLoss, batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
    try:
        return targets.with_targets(context, model, found.objective, batches, whole_batch=found.whole_batch)
    except GradcheckError:
        raise
    except Exception:  # forward itself fails: its error is told where it is measured
        return batches


def _data(context: Context, model: nn.Module, forward: Signature) -> FoundData:
    """--data, --input, the file's data, or made up."""
    settings = context.settings
    if settings.data is not None:
        return read_data(context, forward)
    if settings.input:
        return shape_flags.from_flags(context, model, forward)
    found = find_batch.find_batch(context, model, forward)
    if found is not None:
        return found
    if hugging_face.is_hugging_face(model):
        return hugging_face.synthesise(context, model, forward)
    model_checks.check_forward(model, context.base)
    return synthesis.synthesise(context, model, forward)


def _batches(
    context: Context, model: nn.Module, forward: Signature, data: FoundData, losses: tuple[FoundLoss, ...]
) -> tuple[Batch, ...]:
    to_model = not losses or all(found.whole_batch for found in losses)
    place = to_place(model, context.settings, made=data.made or data.cast)
    batches = []
    layout: Layout | None = None
    for raw in data.raws:
        moved = place(raw)
        if layout is None:
            layout = fit_batch.fit(
                moved,
                forward,
                taken_apart=_takes_apart(model, forward, moved),
                targets_to_model=to_model,
                has_target=data.has_target,
                pair=data.pair,
            )
            for guess in layout.guesses:
                context.assume(guess)
        batch = layout.batch(moved)
        batches.append(_as_numbers(batch) if data.table and any(f.objective.kind in _OF_NUMBERS for f in losses) else batch)
    _refuse_empty(batches[0], data.origin)
    if len(batches) < context.settings.batches:
        context.assume(f"{len(batches)} of {context.settings.batches} batches: {data.origin} has no more")
    return tuple(batches)


def _takes_apart(model: nn.Module, forward: Signature, raw: object) -> bool:
    """Whether forward has one parameter and makes several things of it: then it is given the batch as it is."""
    if len(forward.required) != 1:
        return False
    return takes_apart(model_checks.entry_of(model), forward.required[0], by_name=fit_batch.has_names(raw))


def _as_numbers(batch: Batch) -> Batch:
    """A table's target column as [N, 1] floating numbers, for losses that compare output and target one by one."""
    floating = next(
        (t.dtype for _, t in named_tensors((batch.args, dict(batch.kwargs))) if t.is_floating_point()), torch.float32
    )
    return dataclasses.replace(batch, target=batch.target.to(floating).reshape(-1, 1))


def _refuse_empty(batch: Batch, origin: str) -> None:
    for _, tensor in named_tensors((batch.args, dict(batch.kwargs))):
        if tensor.numel() == 0 and tensor.dim() and tensor.shape[0] == 0:
            raise GradcheckError(
                "E346",
                "the batch is empty",
                f"{origin}: a tensor has shape {list(tensor.shape)}",
                "give at least one sample",
            )


def _for_step(context: Context, model: nn.Module, batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
    """Complete made-up inputs to the (input, target) that a training_step takes, by trying what it accepts."""
    seed = context.settings.seed
    output = output_of(model, batches[0], seed)
    for completed in targets.for_step(batches[0], output, seed):
        with rehearsal(model) as copied:
            try:
                lightning_step.run_directly(copied, completed)
            except Exception:
                continue
        context.assume(
            f"no target was found: `training_step` gets the pair (input, {list(completed.target.shape)} made-up targets)"
        )
        return (completed,)
    return batches


def _without_loss(
    context: Context, model: nn.Module, forward: Signature, batches: tuple[Batch, ...], data: FoundData
) -> tuple[tuple[Batch, ...], tuple[Objective, ...]]:
    """The model's own loss, a loss it carries, one inferred from output and target, or a random projection."""
    settings, batch = context.settings, batches[0]
    if hugging_face.is_hugging_face(model) and any(
        name in batch.kwargs for name in ("labels", "start_positions", "return_loss")
    ):
        return batches, (objectives.model_loss("output.loss", "found: output.loss", reduce=settings.reduce),)
    try:
        output = output_of(model, batch, settings.seed)
    except GradcheckError:
        raise
    except Exception:  # told in full where it is measured
        return batches, (objectives.projection(settings.seed, "random projection of the output"),)
    if how := objectives.returns_loss(output):
        return batches, (objectives.model_loss(how, f"found: {how}", reduce=settings.reduce),)
    carried = of_model(context, model)
    if carried is not None:
        if carried.wants_target and batch.target is None:
            batches = _completed(context, model, carried, batches)
        return batches, (carried.objective,)
    if hugging_face.is_hugging_face(model) and forward.accepts("labels") and not data.made:
        raise GradcheckError(
            "E454",
            "the model's output has no loss",
            "Hugging Face models compute a loss only when labels are given",
            "put `labels` into the batch",
        )
    if isinstance(batch.target, Tensor):
        return batches, (_inferred(context, output, batch.target),)
    context.assume("no loss and no target were found: the loss is a fixed random projection of the output")
    return batches, (objectives.projection(settings.seed, "random projection of the output"),)


def _inferred(context: Context, output: object, target: Tensor) -> Objective:
    tensor, _ = standard_losses.pick_output(output, target)
    kind, why = standard_losses.infer_kind(tensor, target)
    origin = "inferred from output and target"
    if kind == "cross_entropy" and standard_losses.are_probabilities(tensor, target):
        context.assume(f"no loss was found: negative log-likelihood was chosen ({why} whose probabilities sum to 1)")
        return objectives.of_probabilities(origin)
    context.assume(f"no loss was found: {kind} was chosen ({why})")
    return objectives.by_kind(kind, origin, reduce=context.settings.reduce)
