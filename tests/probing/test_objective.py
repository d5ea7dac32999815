"""What the probe says of loss, output and target, against plain torch."""

from __future__ import annotations

import math

import pytest
import torch
from measured import classes, data, profile
from torch import nn
from torch.nn import functional as F


def linear(out=5, end=None):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, out), *([end] if end is not None else []))


def facts(model, x, target, **details):
    return profile(model, x, target, **details).objective


X = data(12, 6)


@pytest.mark.parametrize(
    "loss",
    [
        F.cross_entropy,
        lambda y, t: 1e-4 * F.cross_entropy(y, t),
        lambda y, t: F.cross_entropy(y, t, label_smoothing=0.2),
        lambda y, t: F.cross_entropy(y, t, reduction="sum"),
        lambda y, t: F.cross_entropy(y, t, weight=torch.tensor([1.0, 2.0, 30.0, 1.0, 1.0])),
    ],
)
def test_class_loss_is_free_of_scale_smoothing_and_weights(loss):
    model, target = linear(), classes(12, 5)
    found = facts(model, X, target, loss=loss, kind="cross_entropy")
    assert found.value == pytest.approx(loss(model(X), target).item(), rel=1e-6)
    assert found.class_loss == pytest.approx(F.cross_entropy(model(X), target).item(), rel=1e-5)
    assert (found.classes, found.output_units) == (5, 5)
    assert found.uniform_loss == pytest.approx(math.log(5))
    assert found.log_softmax_in_loss
    assert found.ignored_fraction == 0.0
    assert found.output_activation is None


@pytest.mark.parametrize("ignore", [-100, 0])
def test_ignored_targets(ignore):
    target = classes(12, 5)
    target[:3] = ignore
    loss = lambda y, t: F.cross_entropy(y, t, ignore_index=ignore)
    found = facts(linear(), X, target, loss=loss, kind="cross_entropy", ignore_index=ignore)
    assert found.ignored_fraction == pytest.approx((target == ignore).double().mean().item())
    assert found.class_loss == pytest.approx(loss(linear()(X), target).item(), rel=1e-5)


def test_all_targets_ignored():
    target = torch.full((12,), -100)
    found = facts(
        linear(), X, target, loss=lambda y, t: F.cross_entropy(y, t, reduction="sum") + 0 * y.sum(), kind="cross_entropy"
    )
    assert found.ignored_fraction == 1.0
    assert found.class_loss is None


@pytest.mark.parametrize("form", ["flattened", "channels first"])
def test_sequences(form):
    """[N, T, C] flattened in the loss, or [N, C, T] as torch wants it."""
    x, target = data(4, 7, 6), classes((4, 7), 5)
    if form == "flattened":
        model, loss = linear(), lambda y, t: F.cross_entropy(y.flatten(0, 1), t.flatten())
    else:

        class Turned(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = linear()

            def forward(self, x):
                return self.inner(x).transpose(1, 2)

        model, loss = Turned(), F.cross_entropy
    found = facts(model, x, target, loss=loss, kind="cross_entropy")
    assert (found.classes, found.output_units) == (5, 5)
    assert found.class_loss == pytest.approx(found.value, rel=1e-5)


def test_square_sequences_are_not_turned_around():
    """As many steps as classes: the loss's own value tells which dimension is which."""
    x, target = data(4, 5, 6), classes((4, 5), 5)
    found = facts(linear(), x, target, loss=lambda y, t: F.cross_entropy(y.flatten(0, 1), t.flatten()), kind="cross_entropy")
    assert found.class_loss == pytest.approx(found.value, rel=1e-5)


def test_images():
    model = nn.Conv2d(3, 4, 1)
    found = facts(model, data(2, 3, 5, 6), classes((2, 5, 6), 4), loss="cross_entropy")
    assert (found.classes, found.output_units) == (4, 4)
    assert found.class_loss == pytest.approx(found.value, rel=1e-5)


def test_soft_targets():
    target = torch.softmax(data(12, 5, seed=2), 1)
    found = facts(linear(), X, target, loss="cross_entropy")
    assert found.classes == 5
    assert found.class_loss == pytest.approx(found.value, rel=1e-5)
    assert found.uniform_loss == pytest.approx(math.log(5), rel=1e-5)


ENDS = {
    "softmax": (nn.Softmax(-1), "softmax", 5),
    "softmax over channels": (nn.Softmax(1), "softmax", 5),
    "log_softmax": (nn.LogSoftmax(-1), "log_softmax", 5),
    "relu": (nn.ReLU(), "relu", None),
    "sigmoid": (nn.Sigmoid(), "sigmoid", None),
    "tanh": (nn.Tanh(), "tanh", None),
    "nothing": (nn.Identity(), None, None),
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize(
    "behind", [nn.Identity(), nn.Flatten(), nn.Unflatten(1, (5, 1)), nn.Sequential(nn.Unflatten(1, (1, 5)), nn.Flatten())]
)
def test_the_activation_that_makes_the_output(name, behind):
    end, expected, width = ENDS[name]
    found = facts(nn.Sequential(linear(5, end), behind), X, None)
    assert (found.output_activation, found.softmax_width) == (expected, width)


def test_an_activation_as_a_function_behind_views():
    class Squeezed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 1)

        def forward(self, x):
            return torch.sigmoid(self.layer(x)).squeeze(-1)

    target = classes(12, 2).float()
    found = facts(Squeezed(), X, target, loss="bce")
    assert (found.output_activation, found.kind, found.output_units) == ("sigmoid", "bce", 1)
    assert (found.target_min, found.target_max) == (0.0, 1.0)
    assert not found.log_softmax_in_loss
    assert found.class_loss is None


def test_softmax_over_the_wrong_dimension_is_seen_by_its_width():
    found = facts(linear(5, nn.Softmax(0)), X, classes(12, 5), loss="cross_entropy")
    assert (found.output_activation, found.softmax_width) == ("softmax", 12)


def test_a_softmax_over_one_unit():
    found = facts(linear(1, nn.Softmax(1)), X, classes(12, 2).float().unsqueeze(1), loss="bce")
    assert (found.output_activation, found.softmax_width, found.output_units) == ("softmax", 1, 1)


def test_a_log_softmax_of_the_models_own_is_not_in_the_loss():
    found = facts(linear(5, nn.LogSoftmax(1)), X, classes(12, 5), loss="nll")
    assert not found.log_softmax_in_loss
    assert found.output_activation == "log_softmax"
    assert found.class_loss == pytest.approx(found.value, rel=1e-5)  # a softmax of log-probabilities changes nothing


def test_values_of_output_and_target():
    model, target = linear(3), 100 * data(12, 3, seed=4) + 7
    found = facts(model, X, target, loss="mse")
    y = model(X).detach()
    assert (found.output_min, found.output_max) == (y.min().item(), y.max().item())
    assert (found.target_min, found.target_max) == (target.min().item(), target.max().item())
    assert found.output.rms == pytest.approx(y.square().mean().sqrt().item(), rel=1e-5)
    assert found.output.mean == pytest.approx(y.mean().item(), rel=1e-4)
    assert found.target.mean == pytest.approx(target.mean().item(), rel=1e-4)
    assert found.value == pytest.approx(F.mse_loss(y, target).item(), rel=1e-6)


def test_the_output_named_logits_is_the_output():
    class Several(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(6, 8), nn.Linear(8, 5)

        def forward(self, x):
            hidden = torch.tanh(self.body(x))
            return {"hidden": hidden, "logits": self.head(hidden)}

    loss = lambda y, t: F.cross_entropy(y["logits"], t)
    found = facts(Several(), X, classes(12, 5), loss=loss, kind="cross_entropy")
    assert (found.output_units, found.classes, found.output_activation) == (5, 5, None)


def test_inputs():
    x = data(64, 6) * torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 5000.0])
    (found,) = profile(linear(), x).batch
    size = x.square().mean(0).sqrt()
    assert found.name == "input 0"
    assert found.largest_feature == 5
    assert found.feature_scale_ratio == pytest.approx((size[5] / size.median()).item(), rel=1e-4)
    assert found.std == pytest.approx(x.std(correction=0).item(), rel=1e-3)
    assert found.stats.mean == pytest.approx(x.mean().item(), rel=1e-3)
    assert found.floating

    images = data(4, 3, 8, 8) * torch.tensor([1.0, 40.0, 1.0]).view(1, 3, 1, 1)
    (found,) = profile(nn.Conv2d(3, 2, 3), images).batch
    assert found.largest_feature == 1

    tokens = classes((4, 9), 50)
    (found,) = profile(nn.Embedding(50, 3), tokens).batch
    assert not found.floating
    assert found.stats.dtype == "int64"
    assert found.stats.abs_max == tokens.max().item()
    assert found.feature_scale_ratio is None


def test_variation_between_samples():
    common, own = data(1, 40), data(16, 40, seed=3)
    for share in (0.0, 1e-3, 0.1, 1.0, 30.0):
        x = common + share * own
        (found,) = profile(nn.Linear(40, 2), x).batch
        between = (x - x.mean(0)).double().square().mean().sqrt() / x.double().square().mean().sqrt()
        assert found.sample_variation == pytest.approx(between.item(), abs=1e-6, rel=1e-3)
