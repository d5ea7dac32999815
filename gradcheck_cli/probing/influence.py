"""Parameters without a gradient: would other values of them change the loss? Runs only where there are some."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import nn

from gradcheck_cli.loading.base import Outcome
from gradcheck_cli.records import ParameterProfile

_MOST_LAYERS = 24  # forward passes spent at most, one a layer
# Gradients this far below the largest are rounding noise of float32 in a sum that cancels, as on the query side of
# attention over one token; likewise a loss that changes by less than _SAME.
_NOISE = 1e-8
_SAME = 1e-6
_NEAR = 1e-4  # the L2 norm of the same values may differ in its last digits, with the tensors it was reduced beside


def with_influence(
    model: nn.Module,
    parameters: tuple[ParameterProfile, ...],
    gradients: Mapping[str, float],
    loss: float,
    run: Callable[[], Outcome],
) -> tuple[ParameterProfile, ...]:
    """Fill in `moves_loss` and `twin` of trainable parameters whose gradient is missing, zero or rounding noise.

    `gradients` holds the L2 norm of the gradient at each layer's output.

    All of them are given random values at once; only if that changes the loss, from the same random state, is it done
    again layer by layer. A parameter that cannot move the loss is idle (an unused head, attention over one token); one
    that can, but has no gradient, is cut off or starved. `moves_loss` stays None where the loss does not repeat itself
    or there are too many layers.
    """
    floor = _NOISE * max(gradients.values(), default=0.0)
    silent = [
        p
        for p in parameters
        if p.state != "frozen"
        and not p.value.nonfinite
        and (p.gradient is None or p.gradient.abs_max == 0.0 or gradients.get(p.layer, math.inf) <= floor)
    ]
    if not silent:
        return parameters
    live = dict(model.named_parameters(remove_duplicate=False))
    live.update({name.replace("_orig_mod.", ""): p for name, p in list(live.items())})
    moves = _moves(silent, live, loss, run)
    twins = _twins([p for p in silent if p.gradient is None and moves.get(p.name)], parameters, live)
    return tuple(
        dataclasses.replace(p, moves_loss=moves[p.name], twin=twins.get(p.name)) if p.name in moves else p for p in parameters
    )


def _moves(
    silent: Sequence[ParameterProfile], live: Mapping[str, nn.Parameter], loss: float, run: Callable[[], Outcome]
) -> dict[str, bool]:
    """Whether other values of each parameter change the loss; all are put back, whatever `run` raises."""
    with torch.no_grad():
        saved = {p.name: live[p.name].detach().clone() for p in silent}
    try:
        if not _same(loss, run):
            return {}
        _scramble(live[name] for name in saved)
        if _same(loss, run):
            return dict.fromkeys(saved, False)
        _restore(live, saved)
        moves: dict[str, bool] = {}
        layers = list(dict.fromkeys(p.layer for p in silent))
        for layer in layers if len(layers) <= _MOST_LAYERS else ():
            names = [p.name for p in silent if p.layer == layer]
            _scramble(live[name] for name in names)
            moved = not _same(loss, run)
            moves.update(dict.fromkeys(names, moved))
            _restore(live, {name: saved[name] for name in names})
        return moves
    finally:
        _restore(live, saved)


def _same(loss: float, run: Callable[[], Outcome]) -> bool:
    return abs(float(run().loss.detach()) - loss) <= _SAME * abs(loss)


def _scramble(parameters: Iterable[nn.Parameter]) -> None:
    """Random values of the parameter's own size, or of 0.1 where it is all zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in parameters:
            size = p.abs().double().square().mean().sqrt().item() or 0.1
            p.copy_(torch.randn(p.shape, generator=generator).to(p) * size)


def _restore(live: Mapping[str, nn.Parameter], saved: Mapping[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, value in saved.items():
            live[name].copy_(value)


def _twins(
    silent: Iterable[ParameterProfile], parameters: Iterable[ParameterProfile], live: Mapping[str, nn.Parameter]
) -> dict[str, str]:
    """Parameters with a gradient and bit for bit the same values, by the silent one: it belongs to a copy of a network."""
    learning: dict[tuple[int, ...], list[ParameterProfile]] = {}
    for p in parameters:
        if p.gradient is not None:
            learning.setdefault(p.value.shape, []).append(p)
    twins = {}
    for p in silent:
        if not p.constant and p.value.rms > 0.0:
            alike = (x.name for x in learning.get(p.value.shape, ()) if math.isclose(x.value.l2, p.value.l2, rel_tol=_NEAR))
            if (twin := next((name for name in alike if torch.equal(live[name], live[p.name])), None)) is not None:
                twins[p.name] = twin
    return twins
