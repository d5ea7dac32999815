"""An objective uses the model it is given, hands on what the loss saw, and keeps its kind."""

from __future__ import annotations

import copy
import math
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import standard_losses
from gradcheck_cli.loading.explain_run import explain_unreachable

DATA = "x, y = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])\n"


@pytest.mark.parametrize(
    "loss",
    [
        "loss_fn = nn.CrossEntropyLoss()",
        "def loss_fn(output, target):\n    return F.cross_entropy(output, target)",
        "def loss_fn(model, batch):\n    return F.cross_entropy(model(batch[0]), batch[1])",
        "def loss_fn():\n    return F.cross_entropy(model(x), y)",
        "def loss_fn(output, target):\n    return F.cross_entropy(output, target) + model.weight.square().sum()",
        "def make(net):\n    return lambda o, t: F.cross_entropy(o, t) + net.bias.sum()\nloss_fn = make(model)",
        "model.forward_loss = lambda o, t: F.cross_entropy(o, t)\nloss_fn = model.forward_loss",
    ],
    ids=["module", "output and target", "model and batch", "globals", "weight decay", "closure", "attribute"],
)
def test_gradients_land_on_the_copy_alone(load_text, loss):
    subject = load_text(f"model = nn.Linear(4, 3)\n{DATA}{loss}\n")
    copied = copy.deepcopy(subject.model)
    with torch.no_grad():
        copied.weight.mul_(3)
    on_original = subject.objectives[0].compute(subject.model, subject.batches[0]).loss
    on_copy = subject.objectives[0].compute(copied, subject.batches[0]).loss
    assert on_copy.item() != on_original.item()
    on_copy.backward()
    assert subject.model.weight.grad is None
    assert copied.weight.grad.abs().sum() > 0


def test_bound_method_is_called_on_the_copy(load_text):
    subject = load_text(
        "class Net(nn.Linear):\n    def energy(self, output, target):\n        return self.bias.sum() * output.mean()\n"
        f"model = Net(4, 3)\n{DATA}loss_fn = model.energy\n"
    )
    copied = copy.deepcopy(subject.model)
    subject.objectives[0].compute(copied, subject.batches[0]).loss.backward()
    assert subject.model.bias.grad is None
    assert copied.bias.grad is not None


def test_globals_are_as_before_after_a_copy_was_measured(load_text):
    subject = load_text(f"model = nn.Linear(4, 3)\n{DATA}def loss_fn():\n    return model(x).sum()\n")
    subject.objectives[0].compute(copy.deepcopy(subject.model), subject.batches[0])
    assert vars(sys.modules["model"])["model"] is subject.model


def test_user_optimizer_is_never_stepped(load_text):
    subject = load_text(
        "class Watched(torch.optim.SGD):\n    def step(self, *a):\n        raise AssertionError('stepped')\n"
        f"model = nn.Linear(4, 3)\n{DATA}optimizer = Watched(model.parameters(), lr=0.1)\ncriterion = nn.CrossEntropyLoss()\n"
    )
    subject.objectives[0].compute(subject.model, subject.batches[0]).loss.backward()
    assert subject.optimizer.name == "Watched"


KINDS = [
    (nn.CrossEntropyLoss(ignore_index=3), "cross_entropy", 3),
    (nn.NLLLoss(), "nll", -100),
    (nn.BCELoss(), "bce", None),
    (nn.BCEWithLogitsLoss(pos_weight=torch.ones(1)), "bce_logits", None),
    (nn.MSELoss(), "mse", None),
    (nn.L1Loss(), "l1", None),
    (nn.HuberLoss(), "huber", None),
    (nn.SmoothL1Loss(), "huber", None),
    (F.cross_entropy, "cross_entropy", -100),
    (F.mse_loss, "mse", None),
    (F.smooth_l1_loss, "huber", None),
    (nn.TripletMarginLoss(), "other", None),
    (lambda o, t: o, "other", None),
    (type("FocalLoss", (nn.CrossEntropyLoss,), {})(), "other", None),
]


@pytest.mark.parametrize(("loss", "kind", "ignored"), KINDS, ids=[str(n) for n in range(len(KINDS))])
def test_kinds_of_torchs_losses(loss, kind, ignored):
    assert standard_losses.kind_of(loss) == (kind, ignored)


INFERRED = [
    (torch.randn(6, 5), torch.randint(0, 5, (6,)), "cross_entropy"),
    (torch.randn(6, 5).log_softmax(1), torch.randint(0, 5, (6,)), "nll"),
    (torch.randn(6, 5, 7), torch.randint(0, 5, (6, 7)), "cross_entropy"),
    (torch.randn(6, 7, 5), torch.randint(0, 5, (6, 7)), "cross_entropy"),
    (torch.randn(6, 1), torch.tensor([0, 1, 1, 0, 1, 0]), "bce_logits"),
    (torch.randn(6, 1).sigmoid(), torch.tensor([0, 1, 1, 0, 1, 0]), "bce"),
    (torch.randn(6), torch.tensor([0.0, 1, 1, 0, 1, 0]), "bce_logits"),
    (torch.randn(6, 4), torch.randint(0, 2, (6, 4)).float(), "bce_logits"),
    (torch.randn(6, 1), torch.randint(0, 90, (6,)), "mse"),
    (torch.randn(6, 5), torch.randint(5, 9, (6,)), "mse"),
    (torch.randn(6, 2), torch.randn(6, 2), "mse"),
]


@pytest.mark.parametrize(("output", "target", "kind"), INFERRED, ids=[str(n) for n in range(len(INFERRED))])
def test_loss_that_output_and_target_suggest(output, target, kind):
    assert standard_losses.infer_kind(output, target)[0] == kind


def test_loss_over_all_positions_equals_the_flattened_one():
    output, target = torch.randn(2, 5, 7), torch.randint(0, 7, (2, 5))
    fitted = standard_losses.fit("cross_entropy", output, target, lenient=False)
    assert fitted.output.shape == (10, 7)
    assert torch.equal(
        F.cross_entropy(fitted.output, fitted.target), F.cross_entropy(output.reshape(-1, 7), target.reshape(-1))
    )


def test_projection_is_fixed_and_no_plain_sum():
    output = {"logits": torch.randn(64, 10).softmax(1), "ids": torch.arange(3)}
    first, again = (standard_losses.random_projection(output, seed=3) for _ in range(2))
    assert torch.equal(first, again)
    assert standard_losses.random_projection(output, seed=4) != first
    weights = torch.randn((64, 10), generator=torch.Generator().manual_seed(3))
    expected = (output["logits"] * weights).sum() / math.sqrt(640)
    assert torch.isclose(first, expected)
    assert first.abs() > 1e-3  # the plain sum of softmax outputs is constant, its gradient zero


def test_projection_of_complex_and_integer_outputs():
    assert standard_losses.random_projection(torch.randn(3, dtype=torch.complex64), seed=0).dtype == torch.float32
    with pytest.raises(GradcheckError, match="E455"):
        standard_losses.random_projection(torch.arange(3), seed=0)


def test_class_weights_of_the_loss_follow_the_dtype(load_text):
    subject = load_text(
        f"model = nn.Linear(4, 3)\n{DATA}criterion = nn.CrossEntropyLoss(weight=torch.ones(3))\n", dtype="float64"
    )
    assert subject.objectives[0].compute(subject.model, subject.batches[0]).loss.dtype == torch.float64


UNREACHABLE = {
    "detach": ("return self.layer(x).detach().relu()", "`detach` cuts the graph", 9),
    "no_grad": (
        "with torch.no_grad(): return self.layer(x)",
        "gradients are switched off around `linear` (no_grad or inference_mode)",
        9,
    ),
    "argmax": ("return self.layer(x).argmax(1).float()", "`argmax` cuts the graph", 9),
    "data": ("return self.layer(x).data", "`data` cuts the graph", 9),
}


@pytest.mark.parametrize("name", UNREACHABLE)
def test_place_where_the_graph_ends_is_named(load_text, name):
    body, why, line = UNREACHABLE[name]
    subject = load_text(
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.layer = nn.Linear(4, 3)\n"
        f"    def forward(self, x):\n        {body}\nmodel, x = Net(), torch.randn(5, 4)\n",
        loss="projection",
    )
    error = explain_unreachable(subject, subject.objectives[0], subject.batches[0])
    assert (error.id, error.why, error.where) == ("E453", why, f"model.py:{line}")
