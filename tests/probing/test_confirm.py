"""Suspects looked at again: what opens in a few steps is let off, what stays is a finding, what Adam outruns is softened."""

from __future__ import annotations

import math

import pytest
import torch
from measured import classes, data, profile, rescaled, subject
from torch import nn

from gradcheck_cli.pipeline import examine
from gradcheck_cli.probing.bits import fingerprint
from gradcheck_cli.probing.confirm import LOOKS, REPEATS, confirm
from gradcheck_cli.probing.digest import digest
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.settings import Settings

SETTINGS = Settings(target="test")


class Block(nn.Module):
    def __init__(self, width, start):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)
        self.gate = nn.Parameter(torch.full((width,), start))
        if start == 0.0:
            nn.init.zeros_(self.down.weight)
            nn.init.zeros_(self.down.bias)
            del self.gate

    def forward(self, x):
        branch = self.down(torch.relu(self.up(self.norm(x))))
        return x + (branch * self.gate if hasattr(self, "gate") else branch)


def residual(start):
    """Residual branches that end in zeros (start 0), or in a layer scale."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 24), *(Block(24, start) for _ in range(4)), nn.LayerNorm(24), nn.Linear(24, 5))


def deep(activation, std=None, depth=14, width=24):
    torch.manual_seed(0)
    layers = []
    for i in range(depth):
        layers += [nn.Linear(8 if i == 0 else width, width), activation()]
    model = nn.Sequential(*layers, nn.Linear(width, 5))
    if std is not None:
        for p in model.parameters():
            nn.init.normal_(p, std=std) if p.ndim > 1 else nn.init.zeros_(p)
    return model


def made(model):
    return subject(model, data(64, 8), classes(64, 5), loss="cross_entropy")


def looked_at_again(model):
    one = made(model)
    first = profile(model, data(64, 8), classes(64, 5), loss="cross_entropy", exact=False)
    return first, confirm(one, one.objectives[0], SETTINGS, first)


@pytest.mark.parametrize("start", [0.0, 1e-6])
def test_zero_branches_and_layer_scale_are_let_off(start):
    """Exact zeros behind the closed branch at first; after a few steps every layer learns."""
    model = residual(start)
    first, again = looked_at_again(model)
    quiet = [p.name for p in first.parameters if p.gradient.l2 <= 1e-4 * max(q.gradient.l2 for q in first.parameters)]
    assert any(".up." in name for name in quiet)
    (early, late) = again.confirmation.trained
    assert [t.steps for t in (early, late)] == list(LOOKS)
    opened = late.profile.parameter("1.up.weight").gradient.l2
    assert opened > 10 * first.parameter("1.up.weight").gradient.l2
    assert late.losses[-1] < late.losses[0]
    assert not [f for f in examine(made(residual(start)), SETTINGS).findings if f.severity != "note"]


def steady(report, code="GC101"):
    return [f for f in report.findings if f.code == code]


def test_a_deep_sigmoid_chain_stays_a_finding():
    report = examine(made(deep(nn.Sigmoid)), SETTINGS)
    (finding,) = steady(report)
    assert finding.severity == "error"
    assert "still there after 20 Adam steps" in finding.confirmed
    repeats = report.profiles[0].confirmation.repeats
    assert len(repeats) == REPEATS
    assert len({r.seed for r in repeats} | {0}) == REPEATS + 1
    drops = [r.spines[0].drop for r in repeats]
    assert drops == pytest.approx([report.profiles[0].spines[0].drop] * REPEATS, abs=0.5)


def test_small_tanh_weights_that_adam_outruns_are_softened():
    report = examine(made(deep(nn.Tanh, std=0.01, depth=8, width=64)), SETTINGS)
    (finding,) = steady(report)
    assert finding.severity in ("warning", "error")
    late = report.profiles[0].confirmation.trained[-1].profile
    assert late.spines[0].drop < report.profiles[0].spines[0].drop - 1  # lifted, and the report says so
    if finding.severity == "warning":
        assert "plain SGD does not" in finding.confirmed


@pytest.mark.parametrize(
    "build", [lambda: residual(0.0), lambda: deep(nn.Sigmoid), lambda: nn.Sequential(deep(nn.Sigmoid), nn.BatchNorm1d(5))]
)
def test_the_model_stays_as_it_is(build):
    model = build()
    torch.manual_seed(5)
    before, state = digest(model), torch.get_rng_state()
    values = {n: fingerprint(v) for n, v in model.state_dict().items()}
    looked_at_again(model)
    assert digest(model) == before
    assert {n: fingerprint(v) for n, v in model.state_dict().items()} == values
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_copy_is_trained_as_adam_trains():
    """The losses of the looks are those of a plain loop with torch.optim.Adam, without dropout or other noise."""
    model = deep(nn.Tanh, depth=3)
    _, again = looked_at_again(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(LOOKS[-1]):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(data(64, 8)), classes(64, 5))
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert again.confirmation.trained[-1].losses == pytest.approx(losses, rel=1e-3)


@pytest.mark.parametrize("factor", [1e-12, 1e9])
def test_the_size_of_the_loss_changes_nothing(factor):
    one = made(deep(nn.Tanh, depth=3))
    other = rescaled(one, factor)
    looks = []
    for each in (one, other):
        first = probe(each, each.objectives[0], SETTINGS)
        looks.append(confirm(each, each.objectives[0], SETTINGS, first).confirmation.trained[-1])
    assert [v * factor for v in looks[0].losses] == pytest.approx(list(looks[1].losses), rel=1e-3)
    assert looks[0].profile.spines[0].drop == pytest.approx(looks[1].profile.spines[0].drop, abs=0.01)


def test_a_healthy_model_is_looked_at_once():
    calls = []

    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 5))

        def forward(self, x):
            calls.append(1)
            return self.body(x)

    torch.manual_seed(0)
    report = examine(made(Counted()), SETTINGS)
    assert report.findings == ()
    assert report.profiles[0].confirmation is None
    assert len(calls) == 1


def test_a_loss_that_becomes_nan_ends_the_training():
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = deep(nn.Sigmoid)
            self.first = self.body[0].weight.detach().clone()

        def forward(self, x):
            moved = not torch.equal(self.body[0].weight, self.first)
            return self.body(x) * (math.nan if moved else 1.0)

    _, again = looked_at_again(Fragile())
    assert again.confirmation.trained == ()
    assert len(again.confirmation.repeats) == REPEATS


def test_a_model_that_cannot_be_copied_is_said_to_be_so():
    class Refuses(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = deep(nn.Sigmoid)

        def forward(self, x):
            return self.body(x)

        def __deepcopy__(self, memo):
            raise TypeError("not me")

    _, again = looked_at_again(Refuses())
    assert again.confirmation.trained == ()
    assert any("not me" in gap for gap in again.gaps)
