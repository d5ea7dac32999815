"""Edits of the training loop: clip, learning_rate, warm_up, optimizer, weight_decay."""

from __future__ import annotations

import math

import pytest
import torch
from prepared import data, drawn, fingerprint, setup
from torch import nn
from torch.nn import functional as F

from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup, apply
from gradcheck_cli.trials.training import describe, train

BATCH = (data(8, 4), data(8, 1, seed=1))


def _made(optimizer=("SGD", 0.1, {}), **loop) -> Setup:
    return setup(drawn(lambda: nn.Linear(4, 1)), BATCH, optimizer=optimizer, **loop)


def _edited(made: Setup, kind: str, **options) -> Setup:
    return apply(made, (Edit(kind=kind, options=options),))


def _one_step_by_hand(make, prepare=lambda parameters: None) -> list[torch.Tensor]:
    model = drawn(lambda: nn.Linear(4, 1))
    optimizer = make(model.parameters())
    F.mse_loss(model(BATCH[0]), BATCH[1]).backward()
    prepare(list(model.parameters()))
    optimizer.step()
    return list(model.parameters())


def _one_step(made: Setup) -> list[torch.Tensor]:
    train(made, steps=1, seed=0)
    return list(made.subject.model.parameters())


def _same(mine: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    for a, b in zip(mine, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_clip_by_norm_and_by_value() -> None:
    sgd = lambda p: torch.optim.SGD(p, lr=0.1)
    by_norm = _one_step_by_hand(sgd, lambda p: nn.utils.clip_grad_norm_(p, 0.01))
    by_value = _one_step_by_hand(sgd, lambda p: nn.utils.clip_grad_value_(p, 0.02))
    _same(_one_step(_edited(_made(), "clip", norm=0.01)), by_norm)
    _same(_one_step(_edited(_made(), "clip", value=0.02)), by_value)


@pytest.mark.parametrize("options", [{"norm": math.nan}, {"norm": math.inf}, {"value": 0.0}, {}])
def test_clip_without_a_usable_threshold(options) -> None:
    with pytest.raises(NotApplicable, match="threshold"):
        _edited(_made(), "clip", **options)


def test_learning_rate() -> None:
    made = _made(("Adam", 0.5, {"beta1": 0.5, "beta2": 0.9}))
    edited = _edited(made, "learning_rate", lr=0.01)
    _same(_one_step(edited), _one_step_by_hand(lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.5, 0.9))))
    assert made.loop.optimizer.lr == 0.5
    assert edited.loop.optimizer.options == {"beta1": 0.5, "beta2": 0.9}


@pytest.mark.parametrize(
    ("lr", "reason"), [(0.1, "is 0.1 already"), (math.inf, "no finite learning rate"), (0.0, "above zero")]
)
def test_learning_rates_that_change_nothing_or_are_none(lr: float, reason: str) -> None:
    with pytest.raises(NotApplicable, match=reason):
        _edited(_made(), "learning_rate", lr=lr)


def test_warm_up_starts_at_its_share_of_the_rate() -> None:
    _same(_one_step(_edited(_made(), "warm_up", steps=5)), _one_step_by_hand(lambda p: torch.optim.SGD(p, lr=0.02)))
    with pytest.raises(NotApplicable, match="two steps"):
        _edited(_made(), "warm_up", steps=1)


def test_optimizer_takes_defaults_and_keeps_the_weight_decay() -> None:
    made = _made(("SGD", 0.1, {"momentum": 0.9, "weight_decay": 0.3}))
    edited = _edited(made, "optimizer", name="Adam", lr=0.01)
    _same(_one_step(edited), _one_step_by_hand(lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.3)))
    own_default = _edited(_made(), "optimizer", name="AdamW", lr=0.01)
    _same(_one_step(own_default), _one_step_by_hand(lambda p: torch.optim.AdamW(p, lr=0.01)))
    assert describe(own_default.loop) == "AdamW, lr 0.01, weight decay 0.01"


def test_an_optimizer_that_stands_in_is_replaced_for_good() -> None:
    assert not _edited(_made(assumed=True), "optimizer", name="Adam", lr=0.01).loop.assumed
    assert _edited(_made(assumed=True), "learning_rate", lr=0.01).loop.assumed


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("optimizer", {"name": "SGD", "lr": 0.1}, "already"),
        ("optimizer", {"name": "Lion", "lr": 0.1}, "`Lion` is not an optimizer"),
        ("weight_decay", {"value": 0.0}, "is 0 already"),
        ("weight_decay", {"value": math.nan}, "no finite weight decay"),
    ],
)
def test_what_cannot_be_set(kind: str, options, reason: str) -> None:
    with pytest.raises(NotApplicable, match=reason):
        _edited(_made(), kind, **options)


def test_weight_decay() -> None:
    edited = _edited(_made(("AdamW", 0.1, {"weight_decay": 0.0})), "weight_decay", value=0.5)
    _same(_one_step(edited), _one_step_by_hand(lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5)))
    with pytest.raises(NotApplicable, match="Rprop has no weight decay"):
        _edited(_made(("Rprop", 0.1, {})), "weight_decay", value=0.5)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("clip", {"norm": 1.0}),
        ("learning_rate", {"lr": 0.2}),
        ("warm_up", {"steps": 9}),
        ("optimizer", {"name": "Adam", "lr": 0.1}),
        ("weight_decay", {"value": 0.1}),
    ],
)
def test_model_and_data_stay(kind: str, options) -> None:
    made = _made()
    before = fingerprint(made.subject.model), fingerprint(made.subject.batches[0])
    edited = _edited(made, kind, **options)
    assert edited.subject is made.subject
    assert edited.loop != made.loop
    assert (fingerprint(made.subject.model), fingerprint(made.subject.batches[0])) == before
