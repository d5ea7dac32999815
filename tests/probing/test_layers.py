"""LayerProfiles: names, order, calls, states, options, and outputs of several calls together."""

from __future__ import annotations

import math

import pytest
import torch
from measured import data, profile, projected
from torch import nn
from torch.nn import functional as F

from gradcheck_cli.records import SourceSite


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.shared, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.norm, self.never = nn.BatchNorm1d(4, eps=1e-3), nn.Linear(4, 4)
        self.alias = self.first

    def forward(self, x):
        x = F.relu(self.norm(self.first(x)))
        for _ in range(3):
            x = torch.tanh(self.shared(x))
        return self.last(F.relu(x))


def test_rows_in_the_order_of_execution():
    found = profile(Mixed(), data(6, 4))
    names = [layer.name for layer in found.layers]
    assert names == ["first", "norm", "/relu", "shared", "/tanh", "/tanh#2", "/tanh#3", "/relu#2", "last", "", "never"]
    assert [layer.order for layer in found.layers] == list(range(len(names)))
    rows = {layer.name: layer for layer in found.layers}
    assert (rows["never"].calls, rows["never"].state) == (0, "uncalled")
    assert rows["first"].aliases == ("alias",)
    assert (rows["shared"].calls, rows["shared"].state) == (3, "measured")
    assert (rows[""].leaf, rows["first"].leaf, rows["/relu"].leaf) == (False, True, True)
    assert (rows["/tanh#2"].functional, rows["/tanh#2"].parent, rows["/tanh#2"].role) == (True, "", "activation")
    assert rows["shared"].parameters == ("shared.weight", "shared.bias")
    assert rows["norm"].facts["eps"] == 1e-3
    assert rows["norm"].facts["values_per_channel"] == 6
    assert rows["first"].facts["in_features"] == 4
    assert rows[""].kind == "Mixed"


def test_several_calls_are_taken_together():
    torch.manual_seed(0)
    model, x = Mixed(), data(6, 4)
    outputs = []
    handle = model.shared.register_forward_hook(lambda m, a, y: outputs.append(y))
    loss = projected(model(x), None)
    gradients = torch.autograd.grad(loss, outputs)
    handle.remove()
    row = profile(model, x).layer("shared")
    assert row.gradient.l2 == pytest.approx(math.sqrt(sum(g.norm().item() ** 2 for g in gradients)), rel=1e-5)
    assert row.output.l2 == pytest.approx(math.sqrt(sum(y.norm().item() ** 2 for y in outputs)), rel=1e-5)
    assert row.gradient.numel == 3 * 24


def test_states_of_layers():
    class States(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.frozen, self.side, self.head = (nn.Linear(4, 4) for _ in range(4))
            self.frozen.requires_grad_(False)

        def forward(self, x):
            self.side(x)
            return self.head(self.stem(x)) + self.frozen(x)

    found = profile(States(), data(6, 4))
    assert {name: found.layer(name).state for name in ("stem", "frozen", "side", "head", "")} == {
        "stem": "measured",
        "frozen": "frozen",
        "side": "unreached",
        "head": "measured",
        "": "measured",
    }


def test_lines_of_layers_and_of_functions_inside_them():
    sites = {"": SourceSite(file="model.py", line=1), "first": SourceSite(file="model.py", line=7)}
    found = profile(Mixed(), data(6, 4), sites=sites)
    assert found.layer("first").site == sites["first"]
    assert found.parameter("first.weight").site == sites["first"]
    assert found.layer("/relu").site == SourceSite(file="model.py", line=1, exact=False)
    assert found.layer("shared").site is None


def test_sample_variation_tells_when_samples_are_alike():
    class Alike(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x):
            x = self.first(x)
            return self.head(self.second(x * 1e-4 + 1.0))

    found = profile(Alike(), data(32, 4))
    assert found.layer("first").sample_variation > 0.3
    assert found.layer("second").sample_variation < 1e-3


@pytest.mark.parametrize("training", [True, False])
def test_a_model_in_eval_mode_is_measured_in_train_mode_and_said_to_be(training):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).train(training)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = profile(model, data(6, 4))
    assert found.mode == "train"
    assert bool(found.assumptions) is not training
    assert model.training is training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())  # running averages too


@pytest.mark.parametrize("rows", [4, 4096], ids=["small", "large"])
def test_an_activation_in_place_has_its_own_output(rows):
    """It returns the very tensor of the layer before, with other values."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    in_place = nn.Sequential(plain[0], nn.ReLU(inplace=True), plain[2])
    x = data(rows, 8)
    expected, found = (profile(model, x).layer("1").output for model in (plain, in_place))
    assert found.l2 == pytest.approx(expected.l2, rel=1e-6)
    assert found.l2 < profile(in_place, x).layer("0").output.l2
