import copy
import dataclasses
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradcheck_cli.loading import load
from gradcheck_cli.loading.base import OptimizerSpec, Outcome
from gradcheck_cli.probing.copying import copy_model
from gradcheck_cli.probing.digest import digest
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit
from gradcheck_cli.rules.judge import judge
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.base import Loop, NotApplicable, Setup, apply
from tests.trials.prepared import data, drawn, loss_of, setup

SAMPLES = Path(__file__).parents[2] / "sample_models"


class Net(nn.Module):
    """A function of the input plus a linear layer of it, so that there is always a gradient."""

    def __init__(self, function):
        super().__init__()
        self.function, self.scale = function, nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.function(x * self.scale)


def guarded(model, operation, x, *layers):
    made = setup(model, (x, torch.zeros(())), loss=lambda y, t: (y - t).square().mean())
    return apply(made, [Edit(kind="guard", layers=layers or ("",), options={"operation": operation})])


def in_place(name):
    return lambda x: getattr(x.clone(), name)()


ORDINARY = torch.tensor([0.3, 0.5, 0.7, 0.9])
CASES = [  # operation as the scan names it, function, values at which it or its derivative is not finite
    ("log", torch.log, [0.0, 1.0]),
    ("log", in_place("log_"), [0.0, 1.0]),
    ("log2", lambda x: torch.log2(x), [0.0, 1.0]),
    ("log10", torch.Tensor.log10, [-1.0, 1.0]),
    ("log1p", lambda x: torch.log1p(-x), [1.0, 2.0]),
    ("sqrt", torch.sqrt, [0.0, -1.0]),
    ("sqrt", in_place("sqrt_"), [0.0, 1.0]),
    ("rsqrt", torch.rsqrt, [0.0, 1.0]),
    ("pow", lambda x: x**0.5, [0.0, -1.0]),
    ("pow", lambda x: x**-1, [0.0, 1.0]),
    ("pow", lambda x: x**8, [1e10, 1.0]),
    ("div", lambda x: 1.0 / x, [0.0, 1.0]),
    ("div", lambda x: x / x, [0.0, 1.0]),
    ("div", lambda x: x.clone().div_(x), [0.0, -1.0]),
    ("truediv", lambda x: torch.true_divide(x, x), [0.0, 1.0]),
    ("reciprocal", torch.reciprocal, [0.0, -1.0]),
    ("exp", torch.exp, [100.0, 1.0]),
    ("exp", torch.special.expm1, [100.0, 1.0]),
    ("sinh", torch.sinh, [100.0, -100.0]),
    ("acos", torch.acos, [1.0, -1.0]),
    ("asin", torch.arcsin, [1.0, -1.5]),
    ("atanh", torch.atanh, [1.0, -1.0]),
    ("linalgvectornorm", torch.linalg.vector_norm, [1e30, 1.0]),
    ("norm", lambda x: x.norm(p=3), [1e15, 1.0]),
    ("xlogy", lambda x: torch.xlogy(x, x), [0.0, 1.0]),
    ("softmax", lambda x: (x + torch.tensor([-math.inf, -math.inf])).softmax(-1), [1.0, 2.0]),
]


def value_and_gradient(model, x):
    model.zero_grad()
    x = x.clone().requires_grad_()
    y = model(x)
    y.sum().backward()
    return y.detach(), x.grad


@pytest.mark.parametrize(("operation", "function", "bad"), CASES)
def test_value_and_gradient_become_finite(operation, function, bad):
    model, x = Net(function), torch.tensor(bad)
    plain = value_and_gradient(model, x)
    assert not all(t.isfinite().all() for t in plain)
    edited = guarded(model, operation, x).subject.model
    for twin in (edited, copy.deepcopy(edited)):
        assert all(t.isfinite().all() for t in value_and_gradient(twin, x))


@pytest.mark.parametrize(("operation", "function", "bad"), [c for c in CASES if c[0] != "softmax"])
def test_ordinary_values_stay_as_they_are(operation, function, bad):
    model = Net(function)
    edited = guarded(model, operation, ORDINARY).subject.model
    for own, plain in zip(value_and_gradient(edited, ORDINARY), value_and_gradient(model, ORDINARY), strict=True):
        torch.testing.assert_close(own, plain)


def test_a_divisor_keeps_its_sign():
    edited = guarded(Net(lambda x: torch.ones(()) / x), "div", torch.tensor([-1e-12, 1e-12])).subject.model
    assert edited(torch.tensor([-1e-12, 1e-12])).sign().tolist() == [-1.0, 1.0]


def test_half_precision_stays_finite_too():
    model = Net(lambda x: 1 / x).half()
    edited = guarded(model, "div", torch.tensor([0.0, 1.0], dtype=torch.float16)).subject.model
    y, gradient = value_and_gradient(edited, torch.tensor([0.0, 1.0], dtype=torch.float16))
    assert y.isfinite().all()
    assert gradient.isfinite().all()


def test_the_guard_is_that_of_the_suggested_line():
    x = torch.tensor([0.0, 1e-4, 2.0])
    for operation, function, line in (
        ("log", torch.log, lambda x: torch.log(x.clamp_min(1e-8))),
        ("sqrt", torch.sqrt, lambda x: torch.sqrt(x.clamp_min(0) + 1e-8)),
        ("div", lambda x: x / x, lambda x: x / x.clamp_min(1e-8)),
        ("exp", torch.exp, lambda x: torch.exp(x.clamp(max=20))),
    ):
        edited = guarded(Net(function), operation, x).subject.model
        for own, by_hand in zip(value_and_gradient(edited, x), value_and_gradient(Net(line), x), strict=True):
            torch.testing.assert_close(own, by_hand)


def test_only_the_owner_is_guarded():
    model = nn.Sequential(Net(torch.log), Net(torch.log))
    edited = guarded(model, "log", torch.tensor([2.0, 3.0]), "1").subject.model
    assert edited[0](torch.zeros(1)).item() == -math.inf
    assert edited[1](torch.zeros(1)).item() == pytest.approx(math.log(1e-8))


def test_an_operation_of_the_loss_is_guarded():
    model, x, y = drawn(lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU())), data(6, 4), data(6, 3, seed=1)
    made = setup(model, (x, y))

    def compute(net, batch):
        output = net(*batch.args)
        return Outcome(loss=-output.log().mean(), output=output, target=batch.target)

    made = dataclasses.replace(made, objective=dataclasses.replace(made.objective, compute=compute))
    assert loss_of(made).item() == math.inf
    edited = apply(made, [Edit(kind="guard", layers=("",), options={"operation": "log"})])
    torch.testing.assert_close(loss_of(edited), -F.relu(model[0](x)).clamp_min(1e-8).log().mean())


def test_what_cannot_be_guarded_is_refused_and_nothing_edited():
    model = Net(torch.log)
    made = setup(model, (ORDINARY, torch.zeros(())), loss=lambda y, t: (y - t).square().mean())
    before = digest(made.subject.model)
    for operation, why in (("mul", "cannot be said"), ("sqrt", "no call of sqrt")):
        with pytest.raises(NotApplicable, match=why):
            apply(made, [Edit(kind="guard", layers=("",), options={"operation": operation})])
    with pytest.raises(NotApplicable, match="no module"):
        apply(made, [Edit(kind="guard", layers=("nowhere",), options={"operation": "log"})])
    assert digest(made.subject.model) == before


@pytest.mark.parametrize("sample", ["nan_in_forward", "nan_in_backward"])
def test_the_sample_models_are_cured(sample):
    settings = Settings(target=str(SAMPLES / f"{sample}.py"), no_try=True)
    subject = load(settings)
    profile = probe(subject, subject.objectives[0], settings)
    (origin,) = profile.nonfinite
    made = Setup(
        subject=dataclasses.replace(subject, model=copy_model(subject.model).model),
        objective=subject.objectives[0],
        profile=profile,
        loop=Loop(optimizer=OptimizerSpec(name="Adam", lr=1e-3)),
        seed=0,
    )
    before = digest(subject.model)
    edited = apply(made, [Edit(kind="guard", layers=(origin.layer,), options={"operation": origin.operation})])
    after = probe(edited.subject, edited.objective, settings)
    assert after.nonfinite == ()
    assert judge((after,), settings) == ()
    assert digest(subject.model) == before
