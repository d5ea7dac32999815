"""The half-precision forecast against really casting every gradient."""

from __future__ import annotations

import math

import pytest
import torch
from measured import data, profile, projected
from torch import nn

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def chain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 40), nn.ReLU(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 4))


def gradients_of(model, x, loss):
    """Gradient of every layer's output (the root's included) and of every parameter, by plain autograd."""
    outputs = {}
    handles = [m.register_forward_hook(lambda _m, _x, y, n=n: outputs.__setitem__(n, y)) for n, m in model.named_modules()]
    value = loss(model(x), None)
    for handle in handles:
        handle.remove()
    tensors = {**outputs, **dict(model.named_parameters())}
    return dict(zip(tensors, torch.autograd.grad(value, list(tensors.values())), strict=True))


def cast(gradients, dtype, scale=1.0):
    """(flushed, overflown, each as a share of the non-zero values, worst tensor and its flushed share)."""
    flushed, over, count, shares = 0, 0, 0, {}
    for name, gradient in gradients.items():
        half = (gradient.double() * scale).to(dtype)
        nonzero = gradient != 0
        lost = int(((half == 0) & nonzero).sum())
        flushed, over, count = flushed + lost, over + int(half.isinf().sum()), count + int(nonzero.sum())
        shares[name] = lost / max(int(nonzero.sum()), 1)
    worst = max(shares, key=lambda n: shares[n])
    return flushed / count, over / count, shares[worst]


@pytest.mark.parametrize("factor", [1e-45, 1e-36, 1e-12, 1e-8, 1e-6, 1e-3, 1.0, 1e4, 1e5, 1e7, 1e30])
def test_agrees_with_casting(factor):
    model, x = chain(), data(16, 12)
    loss = lambda output, target: projected(output, target) * factor
    forecasts = {f.dtype: f for f in profile(model, x, loss=loss).precision}
    gradients = gradients_of(model, x, loss)
    if not any(bool((g != 0).any()) for g in gradients.values()):
        assert forecasts == {}
        return
    for name, dtype in DTYPES.items():
        forecast = forecasts[name]
        flushed, over, worst = cast(gradients, dtype)
        assert forecast.underflow_fraction == pytest.approx(flushed, abs=1e-3)
        assert forecast.overflow_fraction == pytest.approx(over, abs=1e-3)
        assert forecast.worst_underflow == pytest.approx(worst, abs=1e-3)
        if worst:
            assert forecast.worst_layer in gradients
        else:
            assert forecast.worst_layer is None
        scaled, overflown, _ = cast(gradients, dtype, forecast.loss_scale)
        assert forecast.scaled_underflow == pytest.approx(scaled, abs=1e-3)
        assert overflown == 0
        assert math.log2(forecast.loss_scale).is_integer()
        assert cast(gradients, dtype, 4 * forecast.loss_scale)[1] > 0 or dtype is torch.bfloat16  # a larger one would not do


def test_zeros_are_not_counted():
    """A layer whose gradient is zero but for one value weighs no more than that value."""
    model, x = nn.Sequential(nn.Linear(12, 40), nn.ReLU(), nn.Linear(40, 4)), data(16, 12)
    with torch.no_grad():
        model[0].bias.fill_(-100.0)
        model[0].bias[0] = 0.0
    loss = lambda output, target: projected(output, target) * 1e-8
    forecast = profile(model, x, loss=loss).precision[0]
    assert forecast.underflow_fraction == pytest.approx(cast(gradients_of(model, x, loss), torch.float16)[0], abs=1e-6)


def test_outputs_too_large_for_half_precision():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    with torch.no_grad():
        model[0].weight.fill_(5e4)
    found = {f.dtype: f.forward_overflow for f in profile(model, data(8, 4).abs() + 1).precision}
    assert found == {"float16": True, "bfloat16": False}
