"""What a model must have to be trained at all (E120, E122 to E125, E569)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.frames import defined_at

_SHOWN = 5
_NO_FORWARD = "define `def forward(self, x):` in its class, or give a loss that calls its parts: `def loss_fn(model, batch):`"


def unwrap(model: nn.Module, context: Context) -> nn.Module:
    """The module inside DataParallel and DistributedDataParallel; raises E569 when there are several processes."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        raise GradcheckError(
            "E569",
            f"this is one of {distributed.get_world_size()} distributed processes",
            "a scan on one rank would wait for the others",
            "scan the model in a single process",
        )
    if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        context.assume(f"the model inside {type(model).__name__} was measured")
        inner = model.module
        assert isinstance(inner, nn.Module)
        return inner
    return model


def check_model(model: nn.Module, context: Context) -> None:
    """Raise for a model that cannot be trained as it is; thaw it with --unfreeze."""
    _check_values(model)
    parameters = dict(model.named_parameters())
    unregistered = unregistered_modules(model)
    hidden = ", ".join(f"`{name}`" for name in list(unregistered)[:_SHOWN])
    hidden += f" and {len(unregistered) - _SHOWN} more" if len(unregistered) > _SHOWN else ""
    if not parameters:
        raise _no_parameters(model, hidden)
    if hidden:
        context.assume(f"held in plain Python containers, so not in model.parameters(): {hidden}")
    if context.settings.unfreeze:
        _thaw(parameters, context)
    elif not any(p.requires_grad for p in parameters.values()):
        raise _all_frozen(parameters)


def entry_of(model: nn.Module) -> Callable[..., Any]:
    """What runs when the model is called: forward, or a `__call__` of its own."""
    entry: Callable[..., Any] = model.forward if type(model).__call__ is nn.Module.__call__ else model.__call__
    return entry


def check_forward(model: nn.Module, base: Path) -> None:
    """Raise E120 for a model whose forward nobody wrote."""
    if isinstance(model, torch.jit.ScriptModule) or type(model).__call__ is not nn.Module.__call__:
        return
    if type(model).forward is nn.Module.forward and "forward" not in vars(model):
        kind = type(model).__name__
        close = [n for n in ("foward", "forwad", "farward", "Forward", "forward_pass", "call") if n in vars(type(model))]
        raise GradcheckError(
            "E120",
            f"`{kind}` has no forward",
            f"it defines `{close[0]}`" if close else "its class does not define one",
            f"rename `{close[0]}` to `forward`" if close else _NO_FORWARD,
            where=defined_at(type(model), base),
        )


def unregistered_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Modules with parameters that a plain list, tuple or dict attribute hides from torch, by a name such as `layers[0]`."""
    known = {id(m) for m in model.modules()}
    found: dict[str, nn.Module] = {}
    for owner_name, owner in model.named_modules():
        for attribute, value in vars(owner).items():
            if attribute.startswith("_"):
                continue
            for key, part in _parts(value):
                if isinstance(part, nn.Module) and id(part) not in known and next(part.parameters(), None) is not None:
                    known.update(id(m) for m in part.modules())
                    found[f"{owner_name}.{attribute}[{key!r}]" if owner_name else f"{attribute}[{key!r}]"] = part
    return found


def _parts(value: object) -> Iterator[tuple[object, object]]:
    if isinstance(value, (list, tuple)):
        yield from enumerate(value)
    elif isinstance(value, dict):
        yield from value.items()


def _check_values(model: nn.Module) -> None:
    meta = [name for name, p in model.named_parameters() if p.is_meta]
    if meta:
        raise GradcheckError(
            "E125",
            f"{len(meta)} parameters are on the meta device, e.g. `{meta[0]}`",
            "they have a shape and no values",
            "materialise the model first: model.to_empty(device='cpu') and initialise it",
        )
    for name, module in model.named_modules():
        origin = type(module).__module__
        if ".quantized" in origin or origin.startswith("torch.utils.mkldnn"):
            raise GradcheckError(
                "E124",
                f"`{name or type(module).__name__}` is a {type(module).__name__} from {origin}",
                "quantised and mkldnn layers are for inference only: they have no gradient",
                "scan the model before it is converted",
            )


def _no_parameters(model: nn.Module, hidden: str) -> GradcheckError:
    if hidden:
        return GradcheckError(
            "E122",
            f"`{type(model).__name__}` has no registered parameters, so no optimizer would train anything",
            f"plain Python containers, which torch does not look into, hold {hidden}",
            "use nn.ModuleList or nn.ModuleDict for them",
        )
    leaves = sorted({type(m).__name__ for m in model.modules() if next(m.children(), None) is None})
    return GradcheckError(
        "E122",
        f"`{type(model).__name__}` has no parameters",
        f"it is made of {', '.join(leaves[:_SHOWN])}",
        "there is nothing to train: check that layers are assigned to `self`",
    )


def _all_frozen(parameters: dict[str, nn.Parameter]) -> GradcheckError:
    names = ", ".join(f"`{n}`" for n in list(parameters)[:_SHOWN])
    more = f" and {len(parameters) - _SHOWN} more" if len(parameters) > _SHOWN else ""
    return GradcheckError(
        "E123",
        f"all {len(parameters)} parameters are frozen",
        f"requires_grad is False for {names}{more}",
        "use --unfreeze to measure it as if it were trained, or unfreeze a part in the file",
    )


def _thaw(parameters: dict[str, nn.Parameter], context: Context) -> None:
    frozen = [n for n, p in parameters.items() if not p.requires_grad and (p.is_floating_point() or p.is_complex())]
    for name in frozen:
        parameters[name].requires_grad_(True)
    if frozen:
        context.assume(f"--unfreeze: {len(frozen)} frozen parameters were set to require gradients")
