"""The optimizer and learning rate that update ratios are for; the optimizer itself is read and never stepped."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.base import OptimizerSpec
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.signatures import signature_of

_NAMES = ("optimizer", "opt", "optim", "optimiser")
_LR_NAMES = ("lr", "learning_rate", "LR", "LEARNING_RATE")
_LIGHTNING = ("lightning.", "pytorch_lightning.")  # where a configure_optimizers that nobody wrote comes from
_OPTIONS = (
    "momentum", "dampening", "weight_decay", "eps", "alpha", "rho", "centered", "momentum_decay", "initial_accumulator_value",
    "decoupled_weight_decay",
)  # fmt: skip


def find_optimizer(context: Context, model: nn.Module) -> OptimizerSpec | None:
    """--optimizer and --lr, else an instance in the file, else Lightning's configure_optimizers, else None."""
    settings = context.settings
    found = _in_file(context, model) or _configured(context, model)
    if settings.optimizer is not None:
        kind = _class_named(settings.optimizer)
        lr = (
            settings.lr if settings.lr is not None else found.lr if found and found.name == kind.__name__ else _default_lr(kind)
        )
        if settings.lr is None and not (found and found.name == kind.__name__):
            context.assume(f"the learning rate is {lr:g}, torch's default for {kind.__name__}")
        return OptimizerSpec(name=kind.__name__, lr=lr, options=_default_options(kind), origin="--optimizer")
    if settings.lr is not None:
        if found is not None:
            return OptimizerSpec(name=found.name, lr=settings.lr, options=found.options, origin=f"{found.origin}, --lr")
        context.assume(f"the optimizer is Adam with --lr {settings.lr:g}: none was found")
        return OptimizerSpec(name="Adam", lr=settings.lr, options=_default_options(torch.optim.Adam), origin="--lr")
    return found


def _class_named(name: str) -> type[torch.optim.Optimizer]:
    known = {n.lower(): k for n, k in vars(torch.optim).items() if inspect.isclass(k) and issubclass(k, torch.optim.Optimizer)}
    known.pop("optimizer", None)
    if name.lower() in known:
        return known[name.lower()]
    close = difflib.get_close_matches(name.lower(), list(known), n=1)
    raise GradcheckError(
        "E675",
        f"--optimizer {name}: no such optimizer",
        f"torch.optim has {', '.join(sorted(known))}",
        f"did you mean --optimizer {close[0]}?" if close else "use one of them",
    )


def _in_file(context: Context, model: nn.Module) -> OptimizerSpec | None:
    space = context.space
    instances = {n: v for n, v in space.items() if isinstance(v, torch.optim.Optimizer)}
    own = {id(p) for p in model.parameters()}
    instances = {n: v for n, v in instances.items() if own & _held(v)} or instances
    name = next((n for n in _NAMES if n in instances), next(iter(instances), None))
    if name is not None:
        if len(instances) > 1:
            context.assume(f"of the optimizers {', '.join(f'`{n}`' for n in instances)} the update ratios are for `{name}`")
        if instances[name].state and own & _held(instances[name]):
            context.assume(f"the file has trained the model with `{name}` while it was imported: these are trained weights")
        return _spec(instances[name], f"found: {name}", context)
    for name in _NAMES:
        value = space.get(name)
        kind = value.func if isinstance(value, functools.partial) else value
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer):
            return _of_class(kind, value, name, context)
    return None


def _held(optimizer: torch.optim.Optimizer) -> set[int]:
    """Ids of the parameters that an optimizer steps."""
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def _of_class(kind: type[torch.optim.Optimizer], value: Any, name: str, context: Context) -> OptimizerSpec:
    """An optimizer class or a partial of one: `optimizer = partial(Adam, lr=1e-3)`."""
    given = dict(value.keywords) if isinstance(value, functools.partial) else {}
    lr = given.pop("lr", None)
    if lr is None:
        lr = next((context.space[n] for n in _LR_NAMES if isinstance(context.space.get(n), float)), None)
    if lr is None:
        lr = _default_lr(kind)
        context.assume(f"the learning rate is {lr:g}, torch's default for {kind.__name__}")
    return OptimizerSpec(
        name=kind.__name__, lr=float(lr), options={**_default_options(kind), **_options(given)}, origin=f"found: {name}"
    )


def _configured(context: Context, model: nn.Module) -> OptimizerSpec | None:
    configure = getattr(model, "configure_optimizers", None)
    if not inspect.ismethod(configure) or configure.__module__.startswith(_LIGHTNING) or signature_of(configure).required:
        return None
    try:
        made = configure()
    except Exception as exc:  # schedules that ask the trainer for its length, sharded optimizers ...
        context.assume(f"no update ratio: configure_optimizers() needs a trainer ({type(exc).__name__})")
        return None
    optimizers = list(_optimizers_in(made))
    if not optimizers:
        return None
    if len(optimizers) > 1:
        context.assume(f"of {len(optimizers)} optimizers the update ratios are for the first, {type(optimizers[0]).__name__}")
    return _spec(optimizers[0], "found: configure_optimizers", context)


def _optimizers_in(made: Any) -> list[torch.optim.Optimizer]:
    if isinstance(made, torch.optim.Optimizer):
        return [made]
    if isinstance(made, Mapping):
        return _optimizers_in(made.get("optimizer"))
    if isinstance(made, (tuple, list)):
        return [optimizer for part in made for optimizer in _optimizers_in(part)]
    return []


def _spec(optimizer: torch.optim.Optimizer, origin: str, context: Context) -> OptimizerSpec:
    rates = sorted({float(group["lr"]) for group in optimizer.param_groups})
    group = optimizer.param_groups[0]
    if len(rates) > 1:
        context.assume(
            f"the optimizer has learning rates {', '.join(f'{r:g}' for r in rates)}: ratios are for {float(group['lr']):g}"
        )
    return OptimizerSpec(name=type(optimizer).__name__, lr=float(group["lr"]), options=_options(group), origin=origin)


def _options(group: Mapping[str, Any]) -> dict[str, float]:
    options = {name: float(group[name]) for name in _OPTIONS if isinstance(group.get(name), (int, float))}
    betas = group.get("betas")
    if isinstance(betas, (tuple, list)) and len(betas) >= 2:
        options.update(beta1=float(betas[0]), beta2=float(betas[1]))
    if group.get("nesterov"):
        options["nesterov"] = 1.0
    return options


def _defaults(kind: type[torch.optim.Optimizer]) -> dict[str, Any]:
    return {n: p.default for n, p in inspect.signature(kind).parameters.items() if p.default is not p.empty}


def _default_lr(kind: type[torch.optim.Optimizer]) -> float:
    return float(_defaults(kind).get("lr", 1e-3))


def _default_options(kind: type[torch.optim.Optimizer]) -> dict[str, float]:
    return _options(_defaults(kind))
