"""Activations by name: as a module, as a function, and which activation a torch call is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradcheck_cli.probing.kinds import activation_of
from gradcheck_cli.trials.base import NotApplicable
from gradcheck_cli.trials.scoped import Call

LEAK = 0.1  # slope below zero; the 0.01 that torch has by default leaves a dead unit next to nothing


def _leaky_relu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAK)


def _same(x: Tensor) -> Tensor:
    return x


FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "leaky_relu": _leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "identity": _same,
}
_MODULES: Mapping[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}
_WRITES_IN_PLACE = ("relu", "leaky_relu", "elu", "selu", "silu")
_CALLS = {
    "relu": "relu", "sigmoid": "sigmoid", "expit": "sigmoid", "tanh": "tanh", "elu": "elu", "selu": "selu", "celu": "celu",
    "gelu": "gelu", "silu": "silu", "mish": "mish", "softplus": "softplus", "hardsigmoid": "hardsigmoid",
    "hardswish": "hardswish", "leaky_relu": "leaky_relu", "rrelu": "rrelu", "prelu": "prelu", "logsigmoid": "log_sigmoid",
    "log_sigmoid": "log_sigmoid", "relu6": "relu6", "erf": "erf", "softmax": "softmax", "log_softmax": "log_softmax",
    "threshold": "threshold", "softsign": "softsign",
}  # fmt: skip


def function_of(name: object) -> Callable[[Tensor], Tensor]:
    """Return the activation as a function. Raises NotApplicable for a name that is none."""
    if name not in FUNCTIONS:
        raise NotApplicable(f"`{name}` is no activation to switch to")
    return FUNCTIONS[str(name)]


def module_of(name: str) -> nn.Module:
    """Return the activation as a new module. Raises NotApplicable for a name that is none."""
    function_of(name)
    return nn.LeakyReLU(LEAK) if name == "leaky_relu" else _MODULES[name]()


def kind_of_call(call: Call) -> str | None:
    """Name the activation that a torch call is, as the scan names its node in the graph; None for other calls."""
    if call.name in ("clamp", "clip", "clamp_min"):
        low = call.kwargs.get("min", call.args[1] if len(call.args) > 1 else None)
        high = call.kwargs.get("max", call.args[2] if len(call.args) > 2 else None)
        if isinstance(low, Tensor) or isinstance(high, Tensor) or low != 0:
            return None
        return "relu" if high is None else "relu6"
    if call.name == "hardtanh":
        low = call.kwargs.get("min_val", call.args[1] if len(call.args) > 1 else -1.0)
        return "relu6" if low == 0 else "hardtanh"
    return _CALLS.get(call.name)


@dataclass(frozen=True)
class SwapActivation:
    """Rewrite that applies another activation in place of one kind of activation call."""

    kind: str
    to: str
    places: frozenset[int] | None = None

    def kind_of(self, call: Call) -> str | None:
        return self.kind if kind_of_call(call) == self.kind and isinstance(call.subject, Tensor) else None

    def replace(self, call: Call) -> Tensor:
        x: Tensor = call.subject
        if not call.in_place or self.to == "identity":
            return FUNCTIONS[self.to](x)
        return x.copy_(FUNCTIONS[self.to](x.clone()))  # the clone is what the backward pass then needs of x


def become(module: nn.Module, to: str, name: str) -> None:
    """Turn an activation module into another one, keeping the object: whoever holds it, under whatever name, has the new one.

    Hooks and mode stay. Raises NotApplicable for what is no plain activation of torch.
    """
    new = module_of(to)
    kind = activation_of(module)
    if kind is None or kind == "glu":
        raise NotApplicable(f"`{name}` ({type(module).__name__}) is no plain activation of torch")
    in_place = bool(getattr(module, "inplace", False))
    if in_place and to in _WRITES_IN_PLACE:
        vars(new)["inplace"] = True
    own = {k: v for k, v in vars(module).items() if k in ("training", "forward") or "hook" in k}
    module.__class__ = type(new)
    vars(module).clear()
    vars(module).update({**vars(new), **own})
    if in_place and to not in (*_WRITES_IN_PLACE, "identity"):
        module.forward = _InPlace(module)


@dataclass(eq=False)
class _InPlace:
    """Forward of an activation that torch does not have in place, for a model that may count on its input being overwritten."""

    module: nn.Module

    def __call__(self, x: Tensor) -> Tensor:
        return x.copy_(type(self.module).forward(self.module, x.clone()))
