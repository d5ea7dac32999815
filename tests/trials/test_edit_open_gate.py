import copy

import pytest
import torch
from torch import nn

from gradcheck_cli.probing.digest import digest
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, apply
from tests.trials.setups import SETTINGS, setup_of


class Gated(nn.Module):
    """x + gamma · f(x) with gamma = 0, and a low-rank branch whose second matrix is zero."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.head = nn.Linear(16, 16), nn.Linear(16, 2)
        self.gamma = nn.Parameter(torch.zeros(16, 1, 1))
        self.down, self.up = nn.Parameter(torch.randn(4, 16)), nn.Parameter(torch.zeros(16, 4))

    def forward(self, inputs):
        h = inputs + self.gamma.squeeze() * torch.tanh(self.inner(inputs)) + inputs @ self.down.T @ self.up.T
        return self.head(h)


def opened(setup, *names, value=0.1):
    return apply(setup, [Edit(kind="open_gate", layers=names, options={"value": value})]).subject


def inputs():
    return torch.randn(6, 16, generator=torch.Generator().manual_seed(3))


def test_gates_are_set_and_matrices_are_drawn():
    model = Gated()
    before = digest(model)
    edited = opened(setup_of(model, inputs()), "gamma", "up").model
    assert digest(model) == before
    assert edited.gamma.eq(torch.tensor(0.1)).all()
    assert float(edited.up.detach().std()) == pytest.approx(0.1, rel=0.3)
    assert edited.up.unique().numel() == edited.up.numel()
    assert torch.equal(edited.down, model.down)
    hand = Gated()
    with torch.no_grad():
        hand.gamma.fill_(0.1)
        hand.up.copy_(edited.up)
    torch.testing.assert_close(edited(inputs()), hand(inputs()))
    torch.testing.assert_close(copy.deepcopy(edited)(inputs()), hand(inputs()))
    assert torch.equal(opened(setup_of(model, inputs()), "up").model.up, edited.up)


def test_the_gradient_passes_an_open_gate():
    setup = setup_of(Gated(), inputs())
    assert setup.profile.parameter("inner.weight").gradient.l2 == 0
    subject = opened(setup, "gamma")
    assert probe(subject, subject.objectives[0], SETTINGS).parameter("inner.weight").gradient.l2 > 0


def test_what_cannot_be_opened_says_why():
    model = Gated()
    model.gamma.requires_grad_(False)
    with pytest.raises(NotApplicable, match="trainable"):
        opened(setup_of(model, inputs()), "gamma")
    with pytest.raises(NotApplicable, match="neither"):
        opened(setup_of(model, inputs()), "delta")
