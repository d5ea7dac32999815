"""Dead and saturated units of one activation, from its output (or input), without a full copy."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gradcheck_cli.probing.kinds import BEST_GAIN
from gradcheck_cli.records import UnitFacts

RECTIFIERS = ("relu", "relu6")  # never negative
_DYING = {*RECTIFIERS, "threshold"}  # activations whose gradient is exactly zero where the output is exactly zero
_FLAT_KINDS = {"sigmoid", "tanh", "softsign", "erf", "hardtanh", "hardsigmoid"}
# A sample is in the flat part of a bounded activation where its derivative is below this share of the best one:
# |x| > 2.2 for tanh, |x| > 4.4 for sigmoid.
FLAT = 0.05
_SAMPLE, _ROWS = 1 << 16, 256
_ALWAYS = 0.95  # a unit counts as saturated when this share of its samples is flat


def unit_facts(
    kind: str,
    output: Tensor,
    unit_dim: int,
    *,
    before: Tensor | None = None,
    limits: tuple[float | None, float | None] | None = None,
) -> UnitFacts | None:
    """Reduce an activation's output [N, ..., units, ...] to facts per unit; None for an empty or unit-less tensor.

    `before` is the activation's input, for erf, whose derivative cannot be read off the output; `limits` are hardtanh's.
    """
    if output.ndim < 2 or output.is_nested or output.numel() == 0 or not output.is_floating_point():
        return None
    blocks = _blocks(output.detach(), unit_dim)
    dead = _dead(blocks.abs() if kind == "threshold" else blocks) if kind in _DYING else 0.0
    derivative = None
    if kind in _FLAT_KINDS:
        inputs = _thin(_blocks(before.detach(), unit_dim)) if kind == "erf" and before is not None else None
        derivative = _derivative(kind, _thin(blocks), inputs, limits or (-1.0, 1.0))
    share = units = None
    if derivative is not None:
        flat = derivative < FLAT
        share = flat.float().mean().item()
        units = (flat.float().mean((0, 2)) >= _ALWAYS).float().mean().item()
    return UnitFacts(
        activation=kind,
        units=blocks.shape[1],
        dead_fraction=dead,
        saturated_fraction=share,
        saturated_units=units,
        best_gain=BEST_GAIN.get(kind),
    )


def dead_fractions(outputs: Tensor, unit_dim: int) -> list[float]:
    """Share of dead units of each of several outputs of a relu, [outputs, samples, ..., units, ...]."""
    others = [d for d in range(1, outputs.ndim) if d != unit_dim]
    alive = outputs.amax(others) != 0
    return [1.0 - share for share in alive.float().mean(1).tolist()]


def rectifier_facts(kind: str, units: int, dead: float) -> UnitFacts:
    """The facts of one of RECTIFIERS whose dead units are counted already."""
    return UnitFacts(
        activation=kind,
        units=units,
        dead_fraction=dead,
        saturated_fraction=None,
        saturated_units=None,
        best_gain=BEST_GAIN.get(kind),
    )


def _blocks(x: Tensor, unit_dim: int) -> Tensor:
    """[samples, units, positions], without moving anything in memory: to bring channels last would copy a whole feature map."""
    if unit_dim == x.ndim - 1:
        return x.reshape(-1, x.shape[-1], 1)
    before = math.prod(x.shape[:unit_dim])
    return x.reshape(before, x.shape[unit_dim], math.prod(x.shape[unit_dim + 1 :]))


def _thin(blocks: Tensor) -> Tensor:
    """About _SAMPLE elements, evenly spread, but at least _ROWS for each unit: units are judged by their samples."""
    samples, _, positions = blocks.shape
    step = min(blocks.numel() // _SAMPLE, samples * positions // _ROWS)
    if step < 2:
        return blocks
    return blocks[::step] if positions == 1 else blocks[:, :, :: min(step, positions)]


def _dead(blocks: Tensor) -> float:
    """Share of the units, none of them negative, that are zero throughout: exact, though only suspects are read in full."""
    thin = _thin(blocks)
    alive = thin.amax((0, 2)) != 0
    if bool(alive.all()):
        return 0.0
    if thin.numel() < blocks.numel():
        suspects = torch.nonzero(~alive).flatten()
        alive[suspects] = (blocks[:, suspects] != 0).any(2).any(0)
    return 1.0 - alive.float().mean().item()


def _derivative(kind: str, y: Tensor, x: Tensor | None, limits: tuple[float | None, float | None]) -> Tensor | None:
    """The derivative relative to its largest value, [samples, units, positions]; None for kinds without a flat part."""
    if kind == "sigmoid":
        return 4 * y * (1 - y)
    if kind == "tanh":
        return 1 - y * y
    if kind == "softsign":
        return (1 - y.abs()) ** 2
    if kind == "erf" and x is not None:
        return torch.exp(-x * x)
    if kind == "hardtanh":
        low, high = limits
        return ((y > (-math.inf if low is None else low)) & (y < (math.inf if high is None else high))).float()
    if kind == "hardsigmoid":
        return ((y > 0) & (y < 1)).float()
    return None
