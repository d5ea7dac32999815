"""The order in which a subject is put together."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from gradcheck_cli import phase
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import checkpoint, construct, find_loss, find_model, model_checks, optimizers, transfer
from gradcheck_cli.loading.base import Subject
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.execution import run_target, seed_everything, user_surroundings
from gradcheck_cli.loading.frames import defined_at
from gradcheck_cli.loading.ignore_comments import ignore_comments
from gradcheck_cli.loading.lightning_step import has_training_step
from gradcheck_cli.loading.overlay import overlay, place_of
from gradcheck_cli.loading.pairing import gather
from gradcheck_cli.loading.sites import SiteRecorder
from gradcheck_cli.loading.surroundings import in_surroundings
from gradcheck_cli.loading.target import Target, parse_target
from gradcheck_cli.loading.untrainable import check_trainable
from gradcheck_cli.records import LayerOutline, Outline, SourceSite
from gradcheck_cli.settings import Settings


def assemble(settings: Settings) -> Subject:
    """Load the target as the settings say; raises GradcheckError."""
    with _built(settings) as (context, model, sites):
        return _complete(context, model, sites)


def outline(settings: Settings) -> Outline:
    """Build the target's model and name its layers: no data, no loss, no forward pass. Raises GradcheckError."""
    with _built(settings) as (_, model, sites):
        aliases: dict[int, list[str]] = {}
        for name, module in model.named_modules(remove_duplicate=False):
            aliases.setdefault(id(module), []).append(name)
        return Outline(
            target=Path(settings.target).as_posix(),
            model_kind=type(model).__name__,
            layers=tuple(
                LayerOutline(
                    name=name,
                    kind=type(module).__name__,
                    parameters=sum(_count(p) for p in module.parameters(recurse=False)),
                    trainable=sum(_count(p) for p in module.parameters(recurse=False) if p.requires_grad),
                    aliases=tuple(aliases[id(module)][1:]),
                    site=sites.get(name),
                )
                for name, module in model.named_modules()
            ),
        )


def _count(parameter: nn.Parameter) -> int:
    return 0 if isinstance(parameter, nn.UninitializedParameter) else parameter.numel()


@contextlib.contextmanager
def _built(settings: Settings) -> Iterator[tuple[Context, nn.Module, dict[str, SourceSite]]]:
    """Give the block the model as the target builds it, in the surroundings of the user's code, with its layers' lines."""
    base = Path.cwd()
    overlay(settings.overlay)
    transfer.device_of(settings)
    transfer.dtype_of(settings)
    settings, target = _code_and_weights(settings, base)
    context = Context(settings=settings, target=target, base=base)
    seed_everything(settings.seed)
    with user_surroundings(target, settings, base):
        with SiteRecorder() as recorder:
            model = _model(context)
        model = model_checks.unwrap(model, context)
        sites = dict(recorder.sites(model, base))
        if "" not in sites and (line := _class_line(model, base)) is not None:
            sites[""] = line
        yield context, model, sites


def from_parts(context: Context, model: nn.Module) -> Subject:
    """Assemble a subject from a model that is there and the objects named in the context."""
    model = model_checks.unwrap(model, context)
    line = _class_line(model, context.base)
    return _complete(context, model, {"": line} if line is not None else {})


def _complete(context: Context, model: nn.Module, sites: dict[str, SourceSite]) -> Subject:
    """Weights, checks, device, data, loss and optimizer, in this order: each step needs the ones before."""
    settings = context.settings
    if settings.weights is not None:
        checkpoint.load_weights(model, context.base / settings.weights, context)
    check_trainable(model)
    model_checks.check_model(model, context)
    transfer.move_model(model, settings)
    phase.enter("preparing batch and loss")
    losses = _losses(context, model)
    batches, objectives = gather(context, model, losses)
    optimizer = optimizers.find_optimizer(context, model)
    return Subject(
        model=model,
        batches=batches,
        objectives=tuple(in_surroundings(objective) for objective in objectives),
        optimizer=optimizer,
        sites=sites,
        target=Path(settings.target).as_posix(),
        data_origin=context.data_origin,
        assumptions=tuple(context.assumptions),
        comments=ignore_comments(sites, context.base),
    )


def _losses(context: Context, model: nn.Module) -> tuple[find_loss.FoundLoss, ...]:
    """--loss, else a Lightning training_step (chosen later), else what the file defines."""
    asked = find_loss.asked_for(context, model)
    if asked is not None:
        return (asked,)
    return () if has_training_step(model) else find_loss.in_file(context, model)


def _code_and_weights(settings: Settings, base: Path) -> tuple[Settings, Target]:
    """The target that holds code; a checkpoint as target becomes the weights of --model."""
    target = parse_target(settings.target, base)
    if target.kind != "checkpoint":
        return settings, target
    assert target.path is not None
    if settings.model is None:
        if settings.trust_pickle:
            return settings, target
        raise checkpoint.needs_model(target.path, settings)
    code = parse_target(settings.model, base)
    if code.kind == "checkpoint":
        raise GradcheckError(
            "E227",
            f"--model {settings.model} is a checkpoint too",
            "--model names the class whose weights these are",
            f"gradcheck scan {settings.target} --model package.module:Class",
        )
    return dataclasses.replace(settings, weights=str(target.path)), code


def _model(context: Context) -> nn.Module:
    if context.target.kind == "checkpoint":
        assert context.target.path is not None
        return checkpoint.load_pickled(context.target.path, context.target.text)
    with torch.enable_grad():
        module = run_target(context.target, context.settings, context.base)
        if not torch.is_grad_enabled():
            context.assume("the file switches gradients off for good; they were on for the measurement")
    context.space, context.module = vars(module), module.__name__
    try:
        context.source = (
            inspect.getsource(module)
            if context.target.path is None
            else place_of(context.target.path).read_text("utf-8", "replace")
        )
    except (OSError, TypeError):
        context.source = ""
    name, found = find_model.find_model(context)
    return construct.construct(name, found, context)


def _class_line(model: nn.Module, base: Path) -> SourceSite | None:
    """The line of the model's class, for a model that gradcheck itself built."""
    place = defined_at(type(model), base)
    if place is None:
        return None
    file, _, line = place.rpartition(":")
    return SourceSite(file=file, line=int(line), exact=False)
