"""Recognise a recurrent cell that is written by hand, and give the gated cell that can be called in its place."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gradcheck_cli.trials.base import NotApplicable, Setup
from gradcheck_cli.trials.module_calls import SeenCall, calls_of

_ACTIVATIONS: tuple[Callable[[Tensor], Tensor], ...] = (torch.tanh, torch.relu, torch.sigmoid)
_COMPARED = 4  # calls whose output is worked out again


class TurnedGRUCell(nn.GRUCell):
    """A GRU cell that takes the state first: called as cell(h, x)."""

    def forward(self, hx: Tensor, input: Tensor) -> Tensor:  # type: ignore[override]
        """Return the next state [N, H] from hx [N, H] and input [N, F]."""
        return super().forward(input, hx)


def hand_written_cell(setup: Setup, shown: str, module: nn.Module, to: str) -> nn.Module:
    """The GRU cell for a module that is called as (x, h) → h, or (h, x) → h, and computes act(W x + U h + b).

    That is checked on the calls that the model makes: each takes the state that the one before it gave, and the outputs
    agree with the formula. Raises NotApplicable, saying what to do by hand.
    """
    by_hand = f"rewrite the loop around {shown} with nn.GRUCell, or as nn.GRU over the whole sequence"
    calls = calls_of(setup, [module])[module]
    position = _state_position(calls)
    if position is None:
        raise NotApplicable(f"the step is computed in the code around {shown}, not in a layer that takes x and h: {by_hand}")
    if to == "lstm":
        raise NotApplicable(f"the loop around {shown} hands on one state, and an LSTM cell has two; a GRU cell has one")
    x, state = calls[0].args[1 - position], calls[0].args[position]
    if not _is_vanilla(module, calls[:_COMPARED], position):
        raise NotApplicable(f"{shown} computes something else than act(W x + U h + b), which a GRU cell would drop: {by_hand}")
    kind = TurnedGRUCell if position == 0 else nn.GRUCell
    bias = any(p.ndim == 1 for p in module.parameters())
    parameter = next(module.parameters())
    cell = kind(x.shape[-1], state.shape[-1], bias=bias, device=parameter.device, dtype=parameter.dtype)
    return cell.train(module.training)


def _state_position(calls: Sequence[SeenCall]) -> int | None:
    """Which of two tensor arguments is the output of the call before; None if the calls are no such chain."""
    if len(calls) < 2 or not all(_is_step(call) for call in calls):
        return None
    pairs = [(a, b) for a, b in itertools.pairwise(calls) if a.run == b.run]
    for position in (0, 1):
        shapes = all(call.args[position].shape == call.output.shape for call in calls)
        if pairs and shapes and all(b.args[position] is a.output for a, b in pairs):
            return position
    return None


def _is_step(call: SeenCall) -> bool:
    tensors = (*call.args, call.output)
    return len(call.args) == 2 and not call.kwargs and all(isinstance(t, Tensor) and t.ndim in (1, 2) for t in tensors)


def _is_vanilla(module: nn.Module, calls: Sequence[SeenCall], position: int) -> bool:
    """Try all readings of the module's matrices as W and U, with all its vectors added as biases."""
    matrices = [p.detach() for p in module.parameters() if p.ndim == 2]
    vectors = [p.detach() for p in module.parameters() if p.ndim == 1]
    width = calls[0].output.shape[-1]
    if len(matrices) + len(vectors) != sum(1 for _ in module.parameters()) or any(v.shape != (width,) for v in vectors):
        return False
    bias = sum(vectors) if vectors else 0.0
    for w, u in _readings(matrices, calls[0].args[1 - position].shape[-1], width):
        for activation in _ACTIVATIONS:
            if all(_agrees(activation, call, w, u, bias, position) for call in calls):
                return True
    return False


def _readings(matrices: list[Tensor], features: int, width: int) -> list[tuple[Tensor, Tensor]]:
    """(W [H, F], U [H, H]) from two matrices, or from one that is applied to x and h side by side."""
    if len(matrices) == 1:
        together = [m for m in (matrices[0], matrices[0].T) if m.shape == (width, features + width)]
        split = [(m[:, :features], m[:, features:]) for m in together]
        return split + [(m[:, width:], m[:, :width]) for m in together]
    if len(matrices) != 2:
        return []
    turned = [(m, m.T) for m in matrices]
    found = [(a, b) for first, second in (turned, turned[::-1]) for a in first for b in second]
    return [(w, u) for w, u in found if w.shape == (width, features) and u.shape == (width, width)]


def _agrees(
    activation: Callable[[Tensor], Tensor], call: SeenCall, w: Tensor, u: Tensor, bias: Tensor | float, position: int
) -> bool:
    x, state = call.args[1 - position].detach(), call.args[position].detach()
    expected = activation(x @ w.T + state @ u.T + bias)
    return torch.allclose(expected.float(), call.output.detach().float(), rtol=1e-3, atol=1e-4)
