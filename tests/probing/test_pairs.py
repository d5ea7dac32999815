"""Linear layers in a row: found where their composition really is one linear map, and only there."""

from __future__ import annotations

import pytest
import torch
from measured import data, profile
from torch import nn
from torch.nn import functional as F


def pairs(model, x):
    return {(p.first, p.second): p.widths for p in profile(model, x).linear_pairs}


class Two(nn.Module):
    """A stem, two linear layers with `between`, a head behind a ReLU."""

    def __init__(self, between=lambda x: x, again=lambda x, h: h):
        super().__init__()
        self.between, self.again = between, again
        self.stem, self.first, self.second, self.head = nn.Linear(6, 8), nn.Linear(8, 4), nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        h = self.first(x)
        return self.head(torch.relu(self.again(x, self.second(self.between(h)))))


LINEAR = {
    "nothing": lambda x: x,
    "identity": nn.Identity(),
    "dropout": nn.Dropout(0.3),
    "half dropped": nn.Dropout(0.5),
    "no dropout": nn.Dropout(0.0),
    "dropout as a function": lambda x: F.dropout(x, 0.2, training=True),
    "reshaped and back": lambda x: x.reshape(*x.shape[:-1], 2, 2).flatten(-2),
    "transposed and back": lambda x: x.transpose(0, 1).transpose(0, 1),
    "cast": lambda x: x.double().float(),
}
NOT_LINEAR = {
    "relu": torch.relu,
    "layer norm": nn.LayerNorm(4),
    "a mask of its own": lambda x: x * (x > 0),
    "a product": lambda x: x * x,
    "softmax": lambda x: x.softmax(-1),
    "clipped": lambda x: x.clamp(-1, 1),
    "absolute": torch.abs,
}


@pytest.mark.parametrize("shape", [(5, 6), (5, 3, 6), (2, 3, 4, 6)])
@pytest.mark.parametrize("name", LINEAR)
def test_found(name, shape):
    assert pairs(Two(LINEAR[name]), data(*shape)) == {("first", "second"): (8, 4, 8)}


@pytest.mark.parametrize("shape", [(5, 6), (5, 3, 6)])
@pytest.mark.parametrize("name", NOT_LINEAR)
def test_not_found(name, shape):
    assert pairs(Two(NOT_LINEAR[name]), data(*shape)) == {}


def test_inputs_that_are_not_contiguous():
    assert pairs(Two(), data(6, 3, 5).transpose(0, 2)) == {("first", "second"): (8, 4, 8)}


def test_no_bias():
    model = Two()
    for layer in (model.first, model.second):
        layer.register_parameter("bias", None)
    assert pairs(model, data(5, 6)) == pairs(model, data(5, 3, 6)) == {("first", "second"): (8, 4, 8)}


def test_a_branch_beside_the_spine_does_not_count():
    assert pairs(Two(again=lambda x, h: x + h), data(5, 6)) == {}


def test_an_output_with_a_second_use_does_not_count():
    class Shared(Two):
        def forward(self, x):
            h = self.first(torch.relu(self.stem(x)))
            return self.head(self.second(h)) + h.sum()

    assert ("first", "second") not in pairs(Shared(), data(5, 6))


def test_three_in_a_row_are_two_pairs():
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 2))
    assert pairs(model, data(3, 4)) == {("0", "1"): (4, 5, 6), ("1", "2"): (5, 6, 7)}


def test_convolutions():
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    assert pairs(plain, data(2, 3, 8, 8)) == {("0", "1"): (3, 8, 4)}
    separable = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    assert pairs(separable, data(2, 8, 8, 8)) == {}  # depthwise, then pointwise: meant so
    normed = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    assert pairs(normed, data(2, 3, 8, 8)) == {}
    flat = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 2))
    assert pairs(flat, data(2, 3, 8, 8)) == {("0", "2"): (3, 8, 2)}
    pooled = nn.Sequential(nn.Conv2d(3, 8, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 9, 2))
    assert pairs(pooled, data(2, 3, 8, 8)) == {}


def test_a_layer_that_follows_itself_does_not_count():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            for _ in range(3):
                x = self.layer(x)
            return x

    assert pairs(Loop(), data(3, 4)) == {}
