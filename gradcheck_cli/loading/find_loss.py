"""Find the loss that the user's file defines, and choose one where it defines none."""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import import_errors, objectives, standard_losses, transfer
from gradcheck_cli.loading.base import Batch, Objective, Outcome
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.find_model import is_loss
from gradcheck_cli.loading.loss_call import LossCall, takes_model
from gradcheck_cli.loading.signatures import signature_of, tree_of

_NAMES = ("loss_fn", "criterion", "loss", "loss_func", "loss_function", "compute_loss", "objective")
_METHODS = ("loss_fn", "criterion", "loss", "loss_func", "loss_function", "compute_loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLoss:
    """An objective, whether it calls the model's forward on our arguments, needs a target, or takes the batch as a whole."""

    objective: Objective
    runs_forward: bool = True
    wants_target: bool = True
    whole_batch: bool = False


def asked_for(context: Context, model: nn.Module) -> FoundLoss | None:
    """The objective that --loss names: a kind, `projection`, or a function of the file."""
    wanted = context.settings.loss
    if wanted is None:
        return None
    if wanted == "projection":
        return FoundLoss(objective=objectives.projection(context.settings.seed, "--loss projection"), wants_target=False)
    if wanted in standard_losses.FUNCTIONS:
        return FoundLoss(objective=objectives.by_kind(wanted, f"--loss {wanted}", reduce=context.settings.reduce))
    if callable(context.space.get(wanted)):
        return _objective(wanted, context.space[wanted], model, context, origin=f"--loss {wanted}")
    known = [*standard_losses.FUNCTIONS, "projection"]
    close = difflib.get_close_matches(wanted, known, n=1)
    raise GradcheckError(
        "E675",
        f"--loss {wanted}: no such loss",
        f"known are {', '.join(known)}, and functions of the file by their name",
        f"did you mean --loss {close[0]}?" if close else f"use one of them, or define `{wanted}` in the file",
    )


def in_file(context: Context, model: nn.Module) -> tuple[FoundLoss, ...]:
    """The objectives of the file: several for a dictionary `losses` or for `generator_loss`, `discriminator_loss`."""
    space = context.space
    several = space.get("losses")
    if isinstance(several, Mapping) and several and all(callable(v) for v in several.values()):
        return tuple(_objective(str(k), v, model, context, origin=f"found: losses[{k!r}]") for k, v in several.items())
    for name in _NAMES:
        if callable(space.get(name)):
            return (_objective(name, space[name], model, context),)
    named = {
        n: v
        for n, v in space.items()
        if n.endswith("_loss") and inspect.isfunction(v) and context.defines(v) and takes_model(v, model)
    }
    if named:
        return tuple(
            _objective(n.removesuffix("_loss") if len(named) > 1 else n, v, model, context, origin=f"found: {n}")
            for n, v in named.items()
        )
    return _other_losses(context, model)


def _other_losses(context: Context, model: nn.Module) -> tuple[FoundLoss, ...]:
    """A loss module under another name, or the one loss class of the file."""
    space = context.space
    parts = {id(m) for m in model.modules()}
    modules = {n: v for n, v in space.items() if isinstance(v, nn.Module) and is_loss(v) and id(v) not in parts}
    if len(modules) == 1:
        name, module = next(iter(modules.items()))
        return (_objective(name, module, model, context),)
    if modules:
        listed = ", ".join(f"`{n}`" for n in modules)
        raise GradcheckError(
            "E455",
            f"the file holds {len(modules)} losses",
            f"they are {listed}, and none is called `loss_fn`",
            f"name one: --loss {next(iter(modules))}; or add `def loss_fn(output, target)` that combines them",
        )
    classes = [
        v for v in space.values() if isinstance(v, type) and issubclass(v, nn.Module) and is_loss(v) and context.defines(v)
    ]
    if len(classes) == 1 and not signature_of(classes[0]).required:
        context.assume(f"the loss is `{classes[0].__name__}()`, the loss class of the file")
        return (_objective(classes[0].__name__, classes[0], model, context),)
    return ()


def of_model(context: Context, model: nn.Module) -> FoundLoss | None:
    """A loss that the model carries as an attribute or method; it is looked up on whichever model is measured."""
    for name in _METHODS:
        value = getattr(model, name, None)
        if isinstance(value, nn.Module):
            return _attribute(name, model, context)
        if inspect.ismethod(value) and not _inherited_from_torch(type(model), name):
            return _attribute(name, model, context)
    return None


def _inherited_from_torch(kind: type, name: str) -> bool:
    owner = next((base for base in kind.__mro__ if name in vars(base)), kind)
    return owner.__module__.split(".")[0] in ("torch", "transformers", "lightning", "pytorch_lightning")


def _attribute(name: str, model: nn.Module, context: Context) -> FoundLoss:
    """A loss that is found on the measured model itself, so that a copy uses its own."""
    kind, ignored = standard_losses.kind_of(getattr(model, name))
    reduce, origin = context.settings.reduce, f"found: model.{name}"

    def compute(model: nn.Module, batch: Batch) -> Outcome:
        carried = getattr(model, name)
        if kind != "other":
            made = objectives.standard(kind, carried, name, origin, ignore_index=ignored, reduce=reduce)
        else:
            made = objectives.own_function(carried, name, origin, model, reduce=reduce)
        return made.compute(model, batch)

    found = Objective(name=name, kind=kind, origin=origin, compute=compute, ignore_index=ignored)
    return _described(found, getattr(model, name), model)


def _described(objective: Objective, loss: Callable[..., Any], model: nn.Module) -> FoundLoss:
    """Whether we run forward for the loss, and whether it cannot do without a target."""
    if objective.kind != "other":
        return FoundLoss(objective=objective)
    call = LossCall(loss, model)
    return FoundLoss(
        objective=objective, runs_forward=call.needs_output, wants_target=call.wants_target, whole_batch=call.with_model
    )


def _objective(name: str, loss: Any, model: nn.Module, context: Context, *, origin: str = "") -> FoundLoss:
    if isinstance(loss, type):
        loss = _built(name, loss, context)
    if isinstance(loss, nn.Module):
        transfer.move_model(loss, context.settings)  # class weights belong where the output is
    reduce, origin = context.settings.reduce, origin or f"found: {name}"
    owner = getattr(loss, "__self__", None)
    if inspect.ismethod(loss) and owner is model:
        return _attribute(loss.__name__, model, context)
    kind, ignored = standard_losses.kind_of(loss)
    if kind == "other":
        plain = _standard_inside(loss)
        kind, ignored = plain or (kind, ignored)
    if kind != "other":
        return FoundLoss(objective=objectives.standard(kind, loss, name, origin, ignore_index=ignored, reduce=reduce))
    return _described(objectives.own_function(loss, name, origin, model, reduce=reduce), loss, model)


def _built(name: str, kind: type, context: Context) -> Any:
    try:
        return kind()
    except Exception as exc:
        error = import_errors.translate_building(exc, f"the loss `{name}` could not be built from its class")
        raise import_errors.located(error, exc, context.base) from exc


def _standard_inside(function: Callable[..., Any]) -> tuple[str, int | None] | None:
    """The kind of a function that only hands its two parameters to a loss of torch: `return F.mse_loss(output, target)`."""
    if not inspect.isfunction(function):
        return None
    tree = tree_of(function)
    names = signature_of(function).required
    if tree is None or len(names) != 2:
        return None
    body: list[ast.stmt] = tree.body if isinstance(tree, ast.FunctionDef) else [ast.Return(value=tree.body)]
    body = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    call = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None
    if not isinstance(call, ast.Call) or [a.id if isinstance(a, ast.Name) else "" for a in call.args] != list(names):
        return None
    try:
        keywords = {k.arg or "": ast.literal_eval(k.value) for k in call.keywords}
        called = _resolved(call.func, function.__globals__)
    except (ValueError, KeyError, AttributeError):
        return None
    kind, ignored = standard_losses.kind_of(functools.partial(called, **keywords) if inspect.isroutine(called) else called)
    return (kind, ignored) if kind != "other" else None


def _resolved(node: ast.expr, space: Mapping[str, Any]) -> Any:
    """The object that a dotted name, or a loss module built on the spot, stands for."""
    if isinstance(node, ast.Name):
        return space[node.id]
    if isinstance(node, ast.Attribute):
        return getattr(_resolved(node.value, space), node.attr)
    if isinstance(node, ast.Call) and not node.args:
        kind = _resolved(node.func, space)
        if isinstance(kind, type) and is_loss(kind):
            return kind(**{k.arg or "": ast.literal_eval(k.value) for k in node.keywords})
    raise ValueError(ast.dump(node))
