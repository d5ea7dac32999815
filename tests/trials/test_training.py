"""A few training steps on a copy, beside loops written by hand."""

from __future__ import annotations

import copy
import dataclasses
import math
import random

import pytest
import torch
from prepared import data, drawn, setup
from torch import nn
from torch.nn import functional as F

from gradcheck_cli.loading.base import OptimizerSpec
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import Loop, NotApplicable, apply
from gradcheck_cli.trials.stepping import clip_norm, clip_value
from gradcheck_cli.trials.training import describe, loop_of, train

BATCHES = [(data(8, 5, seed=i), data(8, 2, seed=10 + i)) for i in range(3)]


def _net():
    return drawn(lambda: nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 2)))


def _by_hand(model, make, steps, before_step=lambda model, optimizer, step: None, seed=4):
    """The loop as a user writes it."""
    model.train()
    optimizer, losses = make(model.parameters()), []
    for step in range(steps + 1):
        torch.manual_seed(seed + step)
        x, y = BATCHES[step % len(BATCHES)]
        loss = F.mse_loss(model(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        before_step(model, optimizer, step)
        if step < steps:
            optimizer.step()
    return losses


OPTIMIZERS = {
    "sgd": (("SGD", 0.1, {}), lambda p: torch.optim.SGD(p, lr=0.1)),
    "nesterov": (
        ("SGD", 0.05, {"momentum": 0.9, "nesterov": 1.0, "weight_decay": 0.01}),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    ),
    "adam": (
        ("Adam", 0.01, {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6, "amsgrad_unknown": 1.0}),
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6),
    ),
    "rmsprop": (("RMSprop", 0.01, {"centered": 1.0}), lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_losses_are_those_of_a_hand_written_loop(name: str) -> None:
    spec, make = OPTIMIZERS[name]
    model = _net()
    losses = train(setup(model, *BATCHES, optimizer=spec), steps=7, seed=4)
    assert losses == _by_hand(copy.deepcopy(model), make, 7)
    assert len(set(losses)) == 8


def test_clipping_and_warm_up_are_those_of_torch() -> None:
    def before_step(model, optimizer, step):
        nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        nn.utils.clip_grad_value_(model.parameters(), 0.01)
        optimizer.param_groups[0]["lr"] = 0.1 * min(1.0, (step + 1) / 4)

    model = _net()
    edits = (Edit(kind="clip", options={"norm": 0.05, "value": 0.01}), Edit(kind="warm_up", options={"steps": 4}))
    edited = apply(setup(model, *BATCHES), edits)
    expected = _by_hand(copy.deepcopy(model), OPTIMIZERS["sgd"][1], 6, before_step)
    assert train(edited, steps=6, seed=4) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_norm_clipping_equals_torchs(limit: float) -> None:
    parameters = [nn.Parameter(torch.zeros(3, 4)), nn.Parameter(torch.zeros(5))]
    for i, p in enumerate(parameters):
        p.grad = data(*p.shape, seed=i)
    mine = [p.grad.clone() for p in parameters]
    norm = clip_norm(mine, limit)
    assert norm == pytest.approx(nn.utils.clip_grad_norm_(parameters, limit).item())
    for gradient, p in zip(mine, parameters, strict=True):
        torch.testing.assert_close(gradient, p.grad)


def test_norm_clipping_survives_what_overflows_float16() -> None:
    gradient = torch.full((1000,), 30_000.0, dtype=torch.float16)
    assert clip_norm([gradient], 1.0) == pytest.approx(30_000 * math.sqrt(1000))
    assert gradient.float().norm().item() == pytest.approx(1.0, rel=1e-2)


def test_nan_stays_visible_where_it_is() -> None:
    gradients = [torch.tensor([math.nan, 3.0]), torch.tensor([4.0])]
    assert math.isnan(clip_norm(gradients, 0.1))
    clip_value(gradients, 2.0)
    assert math.isnan(gradients[0][0])
    assert gradients[0][1] == 2.0
    assert gradients[1][0] == 2.0


def test_sparse_gradients_train_as_dense_ones() -> None:
    indices = [(torch.tensor([[0, 2], [1, 2]]), data(2, 3)), (torch.tensor([[3, 3], [1, 0]]), data(2, 3, seed=1))]
    losses = {}
    for sparse in (True, False):
        model = drawn(lambda sparse=sparse: nn.EmbeddingBag(4, 3, sparse=sparse))
        losses[sparse] = train(setup(model, *indices, optimizer=("Adam", 0.1, {}), clip_norm=0.1), steps=5, seed=0)
    assert losses[True] == losses[False]


def test_loss_scaling_changes_nothing_in_float32() -> None:
    edited = apply(setup(_net(), *BATCHES), (Edit(kind="loss_scale", options={"scale": 1024.0}),))
    assert edited.loop.loss_scale == 1024.0
    assert train(edited, steps=5, seed=4) == train(setup(_net(), *BATCHES), steps=5, seed=4)


def test_a_step_whose_gradient_overflows_is_skipped_and_the_scale_halved() -> None:
    model = nn.Linear(1, 1, bias=False).half()
    nn.init.ones_(model.weight)
    batch = torch.full((1, 1), 64.0).half(), torch.full((1, 1), 0.0).half()
    made = setup(model, batch, loss=lambda output, target: (output - target).mean(), optimizer=("SGD", 2**-6, {}))
    made = dataclasses.replace(made, loop=dataclasses.replace(made.loop, loss_scale=2.0**11))
    # The gradient is 64 · 2^11 > 65504 at first; at scale 2^9 it fits, and the step is 64 · 2^-6 = 1: the weight is 0.
    assert train(made, steps=3, seed=0) == [64.0, 64.0, 64.0, 0.0]


def test_float16_parameters_move_by_less_than_their_own_spacing_in_float32_copies() -> None:
    model = nn.Linear(1, 1, bias=False).half()
    nn.init.ones_(model.weight)
    batch = torch.ones(1, 1).half(), torch.zeros(1, 1).half()
    mean = lambda output, target: (output - target).mean()
    spec = ("SGD", 2**-12, {})  # float16 knows no number between 1 - 2^-11 and 1
    stuck = setup(model, batch, loss=mean, optimizer=spec)
    moving = apply(setup(model, batch, loss=mean, optimizer=spec), (Edit(kind="loss_scale", options={"scale": 2.0}),))
    assert train(stuck, steps=8, seed=0)[-1] == 1.0
    assert train(moving, steps=8, seed=0)[-1] == 1.0 - 8 * 2**-12


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    calls = []
    net = nn.Linear(5, 2)

    def exploding(output, target):
        calls.append(1)
        return F.mse_loss(output, target) / (0.0 if len(calls) > 3 else 1.0)

    made = setup(net, *BATCHES, loss=exploding)
    calls.clear()
    losses = train(made, steps=6, seed=0)
    assert len(losses) == 7
    assert all(map(math.isfinite, losses[:3]))
    assert losses[3:] == [math.inf] * 4
    assert len(calls) == 4


def test_the_caller_can_stop_it_and_the_random_state_is_as_before() -> None:
    class Stop(Exception):
        pass

    left = [3]

    def check():
        left[0] -= 1
        if not left[0]:
            raise Stop

    made = setup(_net(), *BATCHES)
    torch.manual_seed(99)
    before, drawn_before = torch.get_rng_state(), random.getstate()
    with pytest.raises(Stop):
        train(made, steps=10, seed=0, check=check)
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == drawn_before
    assert all(p.grad is None for p in made.subject.model.parameters())


def test_frozen_parameters_stay_and_nothing_trainable_is_said() -> None:
    model = _net()
    model[0].requires_grad_(False)
    made = setup(model, *BATCHES)
    train(made, steps=3, seed=0)
    assert torch.equal(made.subject.model[0].weight, model[0].weight)
    assert not torch.equal(made.subject.model[3].weight, model[3].weight)
    made.subject.model.requires_grad_(False)
    with pytest.raises(NotApplicable, match="no parameter is trainable"):
        train(made, steps=3, seed=0)


@pytest.mark.parametrize("name", ["Lion", "LBFGS", "SparseAdam", "Muon", "Optimizer"])
def test_an_optimizer_that_cannot_be_made_is_named(name: str) -> None:
    with pytest.raises(NotApplicable, match=name):
        train(setup(_net(), *BATCHES, optimizer=(name, 0.1, {})), steps=1, seed=0)


def test_loop_of_takes_the_files_optimizer_or_adam() -> None:
    made = setup(_net(), *BATCHES, optimizer=("AdamW", 3e-4, {"weight_decay": 0.1}))
    assert loop_of(made.subject) == Loop(optimizer=made.subject.optimizer)
    for nothing in (None, OptimizerSpec(name="SGD", lr=0.0)):
        loop = loop_of(dataclasses.replace(made.subject, optimizer=nothing))
        assert (loop.optimizer.name, loop.optimizer.lr, loop.assumed) == ("Adam", 1e-3, True)


def test_a_loop_in_words() -> None:
    plain = OptimizerSpec(name="Adam", lr=0.001)
    assert describe(Loop(optimizer=plain, clip_norm=1.2)) == "Adam, lr 0.001, clipped at norm 1.2"
    full = OptimizerSpec(name="SGD", lr=0.1, options={"momentum": 0.9, "weight_decay": 1e-4})
    loop = Loop(optimizer=full, assumed=True, clip_value=0.5, warm_up=100, loss_scale=65536.0)
    assert describe(loop) == (
        "SGD, lr 0.1, warmed up over 100 steps, momentum 0.9, weight decay 0.0001, clipped at value 0.5, loss scale 65536"
        " (no optimizer found)"
    )


def test_a_gradient_penalty_can_be_trained() -> None:
    """The loss takes a derivative itself, at the last look too."""

    def penalty(output, target):
        (slope,) = torch.autograd.grad(output.sum(), leaf, create_graph=True)
        return F.mse_loss(output, target) + slope.square().mean()

    leaf = data(8, 5).requires_grad_()
    losses = train(setup(_net(), (leaf, data(8, 2)), loss=penalty), steps=4, seed=0)
    assert losses[-1] < losses[0]
