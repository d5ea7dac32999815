"""Keep the argument of an operation inside the range where its value and its derivative are finite."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.modules import modules_by_name
from gradcheck_cli.trials.rehearsal import rehearse
from gradcheck_cli.trials.scoped import Call, ScopedLoss, rewrite_in, withdraw

SMALL = 1e-8  # chosen by us: the eps of torch.optim.Adam, and large enough for 1/x² in float32
LARGEST_EXPONENT = 20.0  # e^20 is 5e8: sums and squares of it stay finite in float32
_FLOATING_EXPONENT = {torch.float16: 5.0}  # e^5 squared is 22 000, float16 ends at 65 504
_MARGIN = 8.0  # units in the last place to stay away from the end of a domain: chosen by us


def apply(setup: Setup, edit: Edit) -> Setup:
    """Guard every call of the operation in the owners named. Raises NotApplicable if there is none, or no guard is known."""
    operation = _FAMILY.get(_plain(str(edit.options.get("operation"))), _plain(str(edit.options.get("operation"))))
    if operation not in _GUARDS:
        raise NotApplicable(f"where `{edit.options.get('operation')}` is finite cannot be said from one argument")
    guard, model = Guard(operation), setup.subject.model
    known = modules_by_name(model)
    for layer in edit.layers or ("",):
        owner = layer if layer in known or "/" not in layer else layer.rpartition("/")[0]
        rewrite_in(model, owner, guard)
        found = _used(setup, owner, guard)
        if not found:
            withdraw(model, owner, guard)
        if owner == "":  # the loss's own operations bear the root's name too
            outside = dataclasses.replace(setup.objective, compute=ScopedLoss(setup.objective.compute, (guard,)))
            guarded = dataclasses.replace(setup, objective=outside)
            if _used(guarded, None, guard):
                setup, found = guarded, True
        if not found:
            where = f"`{owner}`" if owner else "the model's own forward and in the loss"
            raise NotApplicable(f"no call of {operation} in {where} can be reached")
    return setup


def _used(setup: Setup, owner: str | None, guard: Guard) -> bool:
    return rehearse(setup, lambda r: r.replaced(owner, guard.kind))


@dataclass(frozen=True)
class Guard:
    """Rewrite that calls the operation with its argument moved into its domain."""

    operation: str
    places: frozenset[int] | None = None

    @property
    def kind(self) -> str:
        return f"guarded {self.operation}"

    def kind_of(self, call: Call) -> str | None:
        name = _plain(call.name)
        return self.kind if _FAMILY.get(name, name) == self.operation and isinstance(call.subject, Tensor) else None

    def replace(self, call: Call) -> Any:
        if not call.in_place:
            args, kwargs = _GUARDS[self.operation](call)
            return call.func(*args, **kwargs)
        copied = dataclasses.replace(call, args=(call.subject.clone(), *call.args[1:]))
        args, kwargs = _GUARDS[self.operation](copied)
        return call.subject.copy_(call.func(*args, **kwargs))


_Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]


def _plain(name: str) -> str:
    """Write an operation as the scan names it in a forward pass and in a backward pass alike."""
    return name.lower().replace("_", "").removeprefix("special").removeprefix("linalg")


_FAMILY = {
    **dict.fromkeys(("truediv", "truedivide", "divide", "rdiv", "rtruediv", "reciprocal"), "div"),
    **dict.fromkeys(("vectornorm", "matrixnorm", "frobeniusnorm"), "norm"),
    **dict.fromkeys(("arccos", "asin", "arcsin", "atanh", "arctanh", "erfinv"), "acos"),
    **dict.fromkeys(("softmax", "logsoftmax", "logsumexp"), "softmax"),
    **dict.fromkeys(("log2", "log10", "xlogy", "xlog1py"), "log"),
    "sinh": "cosh",
    "expm1": "exp",
}


def _with(call: Call, index: int, value: Any) -> _Arguments:
    """Return the call's arguments with one that was given by position (or as `input`, `other`, `exponent`) replaced."""
    if index < len(call.args):
        return (*call.args[:index], value, *call.args[index + 1 :]), call.kwargs
    names = [n for n in (("input", "self") if index == 0 else ("other", "exponent")) if n in call.kwargs]
    return call.args, {**call.kwargs, names[0]: value}


def _argument(call: Call, index: int) -> Any:
    return call.args[index] if index < len(call.args) else call.kwargs.get("other", call.kwargs.get("exponent"))


def _small(x: Tensor) -> float:
    """The size below which 1/x² is no longer finite in the tensor's own type, and at least SMALL."""
    return max(SMALL, torch.finfo(x.dtype).max ** -0.5) if x.is_floating_point() else SMALL


def _away_from_zero(x: Any) -> Any:
    """Move values nearer to zero than SMALL out to it, keeping their sign; zero itself becomes positive."""
    if not isinstance(x, Tensor):
        return x if abs(x) >= SMALL else math.copysign(SMALL, x)
    if not x.is_floating_point():
        return torch.where(x == 0, torch.ones_like(x), x)
    small = torch.full_like(x, _small(x))
    return torch.where(x.abs() < small, torch.where(x < 0, -small, small), x)


def _log(call: Call) -> _Arguments:
    index = 1 if call.name.startswith("xlog") else 0
    x = _argument(call, index) if index else call.subject
    return _with(call, index, x.clamp_min(_small(x)) if isinstance(x, Tensor) else max(x, SMALL))


def _log1p(call: Call) -> _Arguments:
    return _with(call, 0, call.subject.clamp_min(-1.0 + max(SMALL, _MARGIN * torch.finfo(call.subject.dtype).eps)))


def _sqrt(call: Call) -> _Arguments:
    return _with(call, 0, call.subject.clamp_min(0) + _small(call.subject))


def _rsqrt(call: Call) -> _Arguments:
    return _with(call, 0, call.subject.clamp_min(_small(call.subject)))


def _norm(call: Call) -> _Arguments:
    """Keep small values off zero, where a second derivative is infinite, and the sum of the squares of large ones finite."""
    x = call.subject
    bound = torch.finfo(x.dtype).max ** 0.25 / max(1, x.numel()) ** 0.5
    return _with(call, 0, _away_from_zero(x).clamp(-bound, bound))


def _pow(call: Call) -> _Arguments:
    """A base of zero has no negative power, a base below zero no fractional one; a large one overflows."""
    base, exponent = call.subject, _argument(call, 1)
    if isinstance(exponent, Tensor) or float(exponent) != int(exponent):
        return _with(call, 0, base.clamp_min(_small(base)))
    if exponent <= 0:
        return _with(call, 0, _away_from_zero(base))
    bound = torch.finfo(base.dtype).max ** (0.5 / float(exponent))  # so that the square of the result is finite too
    return _with(call, 0, base.clamp(-bound, bound))


def _div(call: Call) -> _Arguments:
    index = 0 if _plain(call.name) in ("rdiv", "rtruediv", "reciprocal") else 1
    return _with(call, index, _away_from_zero(_argument(call, 1) if index else call.subject))


def _largest_exponent(x: Tensor) -> float:
    return _FLOATING_EXPONENT.get(x.dtype, LARGEST_EXPONENT)


def _exp(call: Call) -> _Arguments:
    return _with(call, 0, call.subject.clamp(max=_largest_exponent(call.subject)))


def _cosh(call: Call) -> _Arguments:
    bound = _largest_exponent(call.subject)
    return _with(call, 0, call.subject.clamp(-bound, bound))


def _acos(call: Call) -> _Arguments:
    bound = 1.0 - max(SMALL, _MARGIN * torch.finfo(call.subject.dtype).eps)
    return _with(call, 0, call.subject.clamp(-bound, bound))


def _softmax(call: Call) -> _Arguments:
    """A row of nothing but minus infinity (all masked) has no softmax; the lowest finite number gives an even one."""
    limits = torch.finfo(call.subject.dtype)
    return _with(call, 0, call.subject.clamp(limits.min / 2, limits.max / 2))


_GUARDS: Mapping[str, Callable[[Call], _Arguments]] = {
    "log": _log,
    "log1p": _log1p,
    "sqrt": _sqrt,
    "rsqrt": _rsqrt,
    "norm": _norm,
    "pow": _pow,
    "div": _div,
    "exp": _exp,
    "cosh": _cosh,
    "acos": _acos,
    "softmax": _softmax,
}
