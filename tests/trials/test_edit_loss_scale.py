"""The loss times a scale: what is probed, what is trained."""

from __future__ import annotations

import math

import pytest
import torch
from prepared import data, drawn, fingerprint, loss_of, setup
from torch import nn
from torch.nn import functional as F

from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit
from gradcheck_cli.rules.judge import judge
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.base import NotApplicable, apply
from gradcheck_cli.trials.training import train


def _faint(output, target):
    return 1e-3 * F.mse_loss(output, target)


def _half(**options):
    model = drawn(lambda: nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32))).half()
    return setup(model, (data(64, 6).half(), data(64, 32, seed=1).half()), loss=_faint, kind="other", assumed=True, **options)


def _scaled(made, scale):
    return apply(made, (Edit(kind="loss_scale", options={"scale": scale}),))


def test_gradients_of_the_probe_are_multiplied() -> None:
    made = setup(drawn(lambda: nn.Linear(4, 2)), (data(8, 4), data(8, 2)))
    edited = _scaled(made, 256.0)
    assert loss_of(edited).item() == pytest.approx(256 * loss_of(made).item())
    loss_of(made).backward()
    plain = made.subject.model.weight.grad.clone()
    made.subject.model.zero_grad()
    loss_of(edited).backward()
    torch.testing.assert_close(edited.subject.model.weight.grad, 256 * plain)
    assert edited.loop.loss_scale == 256.0
    assert made.loop.loss_scale == 1.0


def test_float16_gradients_are_lifted_out_of_the_faint_range() -> None:
    made = _half(optimizer=("SGD", 0.1, {}))
    settings = Settings(target="test")
    assert "GC503" in {f.code for f in judge((made.profile,), settings)}
    edited = _scaled(made, 2.0**12)
    assert not judge((probe(edited.subject, edited.objective, settings),), settings)


def test_a_scale_that_overflows_is_lowered_until_the_gradients_are_finite() -> None:
    """A loss in float16 hands on the scale itself, so 2^15 is the most."""
    edited = _scaled(_half(), 2.0**25)
    assert edited.loop.loss_scale == 2.0**15
    loss_of(edited).backward()
    assert all(torch.isfinite(p.grad).all() for p in edited.subject.model.parameters())


def test_scaling_anew_replaces_the_scale() -> None:
    made = _half()
    twice = _scaled(_scaled(made, 64.0), 8.0)
    assert loss_of(twice).item() == pytest.approx(8 * loss_of(made).item(), rel=1e-2)
    assert twice.loop.loss_scale == 8.0


def test_losses_of_the_training_are_in_their_own_unit() -> None:
    losses = train(_scaled(_half(optimizer=("Adam", 0.01, {})), 2.0**12), steps=10, seed=0)
    assert losses[0] == pytest.approx(loss_of(_half()).item(), rel=1e-3)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("scale", [1.0, math.inf, 0.0])
def test_a_scale_that_is_none(scale: float) -> None:
    with pytest.raises(NotApplicable, match="no loss scale would help"):
        _scaled(_half(), scale)


def test_gradients_that_overflow_at_every_scale() -> None:
    made = setup(drawn(lambda: nn.Linear(4, 2)), (data(8, 4), data(8, 2)), loss=lambda o, t: (o * math.inf).mean())
    with pytest.raises(NotApplicable, match="overflows"):
        _scaled(made, 1024.0)


def test_model_and_data_stay() -> None:
    made = _half()
    before = fingerprint(made.subject.model), fingerprint(made.subject.batches[0])
    _scaled(made, 1024.0)
    assert (fingerprint(made.subject.model), fingerprint(made.subject.batches[0])) == before
    assert all(p.grad is None for p in made.subject.model.parameters())
