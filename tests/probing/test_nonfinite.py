"""Where the first NaN or infinity is made: operation, layer and line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from measured import classes, data, profile
from torch import nn
from torch.nn import functional as F

SOURCE = Path(__file__).read_text("utf-8").splitlines()


class Inside(nn.Module):
    """Two layers and a block between them that does something dangerous."""

    def __init__(self, block):
        super().__init__()
        self.stem, self.block, self.head = nn.Linear(4, 6), block, nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.block(self.stem(x)))


class Log(nn.Module):
    def forward(self, x):
        y = torch.relu(x)
        return y.log()  # here: log


class Ratio(nn.Module):
    def forward(self, x):
        y = x - x
        return y / y  # here: 0/0


class InPlace(nn.Module):
    def forward(self, x):
        x = x * 1.0
        x /= x.sum(1, keepdim=True) * 0.0  # here: in place
        return x


class Exp(nn.Module):
    def forward(self, x):
        big = 1000 * x.abs() + 100
        return big.exp()  # here: exp


class Root(nn.Module):
    def forward(self, x):
        y = torch.relu(x - 100)
        return y.sqrt()  # here: sqrt backward


class Where(nn.Module):
    def forward(self, x):
        safe = torch.sqrt(x.clamp(min=0))  # here: where trick
        return torch.where(x > 0, safe, 0.0)


class Norm(nn.Module):
    def forward(self, x):
        d = x - x.detach()
        return x + d.norm(dim=1, keepdim=True)  # here: norm backward


class Powers(nn.Module):
    def forward(self, x):
        return torch.relu(x - 100) ** 0.5  # here: power


FORWARD = [
    (Log, "log", "inf", "log"),
    (Ratio, "div", "nan", "0/0"),
    (InPlace, "div", None, "in place"),
    (Exp, "exp", "inf", "exp"),
]
BACKWARD = [(Root, "sqrt", "inf", "sqrt backward"), (Where, "sqrt", "nan", "where trick"), (Powers, "pow", None, "power")]


def line_of(mark):
    return next(i for i, text in enumerate(SOURCE, 1) if text.endswith(f"# here: {mark}"))


def at(origin):
    return (Path.cwd() / origin.site.file).resolve(), origin.site.line


@pytest.mark.parametrize(("block", "operation", "kind", "mark"), FORWARD)
def test_the_first_operation_of_the_forward_pass(block, operation, kind, mark):
    (origin,) = profile(Inside(block()), data(5, 4)).nonfinite
    assert (origin.phase, origin.layer, origin.operation) == ("forward", "block", operation)
    assert kind in (None, origin.kind)
    assert at(origin) == (Path(__file__).resolve(), line_of(mark))
    assert not Path(origin.site.file).is_absolute()
    assert origin.lead_up
    assert origin.lead_up[-1][0].startswith("block: ")
    assert all(math.isfinite(size) for _, size in origin.lead_up)


@pytest.mark.parametrize(("block", "operation", "kind", "mark"), BACKWARD)
def test_the_first_operation_of_the_backward_pass(block, operation, kind, mark):
    found = profile(Inside(block()), data(5, 4))
    (origin,) = found.nonfinite
    assert math.isfinite(found.objective.value)
    assert (origin.phase, origin.layer, origin.operation) == ("backward", "block", operation)
    assert kind in (None, origin.kind)
    assert at(origin) == (Path(__file__).resolve(), line_of(mark))
    assert not Path(origin.site.file).is_absolute()


def test_a_norm_at_zero_is_no_origin():
    """torch gives the norm a gradient of zero there."""
    assert profile(Inside(Norm()), data(5, 4)).nonfinite == ()


def test_in_the_loss():
    def loss(output, target):
        p = output.softmax(1) * 0.0
        return F.nll_loss(p.log(), target)  # here: loss

    (origin,) = profile(nn.Linear(4, 3), data(5, 4), classes(5, 3), loss=loss, kind="nll").nonfinite
    assert (origin.layer, origin.operation, origin.phase) == ("", "log", "forward")
    assert origin.site.line == line_of("loss")


def test_several_victims_have_one_origin():
    model = nn.Sequential(nn.Linear(4, 4), Log(), nn.Linear(4, 4), Exp(), nn.BatchNorm1d(4), nn.Linear(4, 2))
    (origin,) = profile(model, data(6, 4)).nonfinite
    assert (origin.layer, origin.operation) == ("1", "log")


def test_a_module_that_makes_it_is_shown_at_its_call():
    """No line of the user's own lies inside nn.Linear: the line that calls it is the innermost one."""
    model = Inside(nn.Identity())
    with torch.no_grad():
        model.stem.weight.fill_(3e38)
    (origin,) = profile(model, data(5, 4).abs() + 10).nonfinite
    assert (origin.layer, origin.operation, origin.kind) == ("stem", "linear", "inf")
    assert at(origin)[1] == next(i for i, t in enumerate(SOURCE, 1) if "self.head(self.block(self.stem(x)))" in t)


def test_weights_that_are_nan_are_counted_as_such():
    """The operation that reads them is a victim; the parameter's own count tells."""
    model = Inside(nn.Identity())
    with torch.no_grad():
        model.stem.weight[0, 0] = math.nan
    found = profile(model, data(5, 4))
    assert found.nonfinite == ()
    assert found.parameter("stem.weight").value.nonfinite == 1
    assert math.isnan(found.objective.value)


class Attention(nn.Module):
    """Causal attention, the mask made in one of the usual ways."""

    def __init__(self, masked):
        super().__init__()
        self.maps, self.head, self.masked = nn.Linear(6, 18), nn.Linear(6, 3), masked

    def forward(self, x):
        q, k, v = self.maps(x).chunk(3, -1)
        scores = self.masked(q @ k.transpose(1, 2))
        return self.head(scores.softmax(-1) @ v)


def causal(n):
    return torch.ones(n, n).triu(1).bool()


def assigned(scores):
    scores = scores.clone()
    scores[:, causal(scores.shape[-1])] = -math.inf
    return scores


MASKS = {
    "masked_fill": lambda s: s.masked_fill(causal(s.shape[-1]), -math.inf),
    "masked_fill_": lambda s: s.masked_fill_(causal(s.shape[-1]), -math.inf),
    "added": lambda s: s + torch.full(s.shape[-2:], -math.inf).triu(1),
    "where": lambda s: torch.where(causal(s.shape[-1]), torch.tensor(-math.inf), s),
    "generated": lambda s: s + nn.Transformer.generate_square_subsequent_mask(s.shape[-1]),
    "assigned": assigned,
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_of_minus_infinity_is_no_origin(name):
    found = profile(Attention(MASKS[name]), data(2, 5, 6))
    assert found.nonfinite == ()
    assert math.isfinite(found.objective.value)


@pytest.mark.parametrize("name", MASKS)
def test_behind_a_mask_the_true_origin_is_found(name):
    """Masked scores are there before the loss divides zero by zero."""
    ratio = lambda output, _: (output / (output.detach() * 0.0)).sum()
    (origin,) = profile(Attention(MASKS[name]), data(2, 5, 6), loss=ratio).nonfinite
    assert (origin.layer, origin.operation) == ("", "div")


def test_a_finite_model_is_not_run_again():
    calls = []

    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            calls.append(1)
            return self.layer(x)

    profile(Counted(), data(5, 4))
    assert len(calls) == 1


def test_half_precision_overflow():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).half()
    with torch.no_grad():
        model[1].weight.fill_(6e4)
    (origin,) = profile(model, data(5, 4).half().abs() + 1).nonfinite
    assert (origin.layer, origin.kind) == ("1", "inf")
