"""How far an optimizer's first step moves a parameter, without stepping it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gradcheck_cli.loading.base import OptimizerSpec
from gradcheck_cli.probing.statistics import CHUNK, as_dense

_Options = Mapping[str, float]
_Direction = Callable[[Tensor, _Options], Tensor]


def update_ratio(parameter: Tensor, gradient: Tensor, value_l2: float, optimizer: OptimizerSpec | None) -> float | None:
    """L2 of the optimizer's first update over L2 of the value.

    None without an optimizer, for one whose first step is not known, and for an all-zero value. Momentum, dampening and
    running averages start at zero or are corrected for it, as torch.optim does; weight decay counts.
    """
    direction = None if optimizer is None else _direction_of(optimizer.name)
    moved = as_dense(gradient)
    if optimizer is None or direction is None or moved is None or value_l2 == 0.0:
        return None
    value, options = as_dense(parameter), optimizer.options
    decay = options.get("weight_decay", 0.0)
    if value is None or gradient.is_sparse or value.numel() != moved.numel():
        value, decay = moved, 0.0  # a sparse gradient moves the rows that it names, and torch decays none
    decoupled = optimizer.name.lower().startswith(("adamw", "lion")) or bool(options.get("decoupled_weight_decay"))
    square = 0.0
    for g, w in zip(_chunks(moved), _chunks(value), strict=True):
        if decay and not decoupled:
            g = g + decay * w
        step = direction(g, options)
        if decay and decoupled:
            step = step + decay * w
        square += float(torch.linalg.vector_norm(step, dtype=torch.float64).item()) ** 2
    rate = optimizer.lr
    if "adafactor" in optimizer.name.lower():  # its rate is relative to the value's size
        rate *= max(1e-3, value_l2 / math.sqrt(moved.numel()))
    return rate * math.sqrt(square) / value_l2


def _chunks(tensor: Tensor) -> tuple[Tensor, ...]:
    parts: tuple[Tensor, ...] = torch.split(tensor.reshape(-1), CHUNK)
    return parts if tensor.dtype in (torch.float32, torch.float64) else tuple(p.float() for p in parts)


def _direction_of(name: str) -> _Direction | None:
    """The rule by the class name: an exact one, else that of the family a derived class is named after (FusedAdam)."""
    lower = name.lower()
    if lower in _DIRECTIONS:
        return _DIRECTIONS[lower]
    return next((rule for family, rule in _FAMILIES.items() if family in lower), None)


def _plain(g: Tensor, options: _Options) -> Tensor:
    return g * (1 + options.get("momentum", 0.0)) if options.get("nesterov") else g


def _adam(g: Tensor, options: _Options) -> Tensor:
    return g / (g.abs() + options.get("eps", 1e-8))


def _nadam(g: Tensor, options: _Options) -> Tensor:
    beta, decay = options.get("beta1", 0.9), options.get("momentum_decay", 4e-3)
    now, later = (beta * (1 - 0.5 * math.pow(0.96, step * decay)) for step in (1, 2))
    return _adam(g, options) * (1 + later * (1 - beta) / (1 - now * later))


def _adagrad(g: Tensor, options: _Options) -> Tensor:
    start = options.get("initial_accumulator_value", 0.0)
    size: Tensor = (g * g + start).sqrt() if start else g.abs()
    return g / (size + options.get("eps", 1e-10))


def _rmsprop(g: Tensor, options: _Options) -> Tensor:
    alpha = options.get("alpha", 0.99)
    share = math.sqrt((1 - alpha) * (alpha if options.get("centered") else 1.0))
    return g / (g.abs() * share + options.get("eps", 1e-8))


def _adadelta(g: Tensor, options: _Options) -> Tensor:
    eps = options.get("eps", 1e-6)
    return g * math.sqrt(eps) / ((1 - options.get("rho", 0.9)) * g * g + eps).sqrt()


def _sign(g: Tensor, _options: _Options) -> Tensor:
    return g.sign()


_DIRECTIONS: dict[str, _Direction] = {
    "sgd": _plain,
    "asgd": _plain,
    "radam": _plain,  # its first steps are not divided by anything
    "nadam": _nadam,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
    "rmsprop": _rmsprop,
    "adafactor": _sign,  # nearly: the factored average makes the step's RMS one, not each of its elements
    "rprop": _sign,
    "lion": _sign,
}
_FAMILIES: dict[str, _Direction] = {"adam": _adam, "rmsprop": _rmsprop, "sgd": _plain, "lion": _sign, "adafactor": _sign}
