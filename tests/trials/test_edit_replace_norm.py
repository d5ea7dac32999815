import copy

import pytest
import torch
from torch import nn

from gradcheck_cli.probing.digest import digest
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, apply
from tests.trials.setups import setup_of


def replaced(setup, *layers, norm="layer"):
    return apply(setup, [Edit(kind="replace_norm", layers=layers, options={"norm": norm})]).subject.model


def x(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3)) * 2 + 1


def network(norm, *, conv=False):
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 16, 3) if conv else nn.Linear(6, 16)
    return nn.Sequential(layer, norm, nn.ReLU())


def trained_norm(kind):
    norm = kind(16, eps=1e-3).double()
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0, 2, 16))
        norm.bias.copy_(torch.linspace(-1, 1, 16))
    norm.bias.requires_grad_(False)
    return norm


@pytest.mark.parametrize(
    ("conv", "norm", "made"),
    [
        (False, "layer", lambda: nn.LayerNorm(16, eps=1e-3)),
        (False, "group", lambda: nn.GroupNorm(8, 16, eps=1e-3)),
        (True, "layer", lambda: nn.GroupNorm(1, 16, eps=1e-3)),
        (True, "group", lambda: nn.GroupNorm(8, 16, eps=1e-3)),
    ],
)
def test_scale_and_shift_are_kept(conv, norm, made):
    inputs = (x(2, 3, 6, 6) if conv else x(2, 6)).double()
    model = network(trained_norm(nn.BatchNorm2d if conv else nn.BatchNorm1d), conv=conv).double()
    before = digest(model)
    edited = replaced(setup_of(model, inputs), "1", norm=norm)
    assert digest(model) == before
    hand = copy.deepcopy(model)
    hand[1] = made().double()
    with torch.no_grad():
        hand[1].weight.copy_(model[1].weight)
        hand[1].bias.copy_(model[1].bias)
    results = []
    for net in (edited, hand, copy.deepcopy(edited)):
        net.zero_grad()
        output = net(inputs)
        output.square().mean().backward()
        results.append((output, net[0].weight.grad))
    for output, gradient in results[1:]:
        torch.testing.assert_close(output, results[0][0])
        torch.testing.assert_close(gradient, results[0][1])
    assert edited[1].weight.requires_grad
    assert not edited[1].bias.requires_grad


def test_sequences_with_channels_in_the_middle():
    model = nn.Sequential(nn.Conv1d(3, 16, 3), nn.BatchNorm1d(16, affine=False))
    edited = replaced(setup_of(model, x(2, 3, 8)), "1")
    assert not list(edited[1].parameters())
    output = edited(x(2, 3, 8))
    torch.testing.assert_close(output.mean((1, 2)), torch.zeros(2), atol=1e-5, rtol=0)


def test_a_shared_norm_stays_shared():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(6)
            self.tail = nn.Sequential(self.norm, nn.ReLU())

        def forward(self, inputs):
            return self.tail(self.norm(self.fc(inputs)))

    edited = replaced(setup_of(Twice(), x(4, 6)), "norm")
    assert isinstance(edited.norm, nn.LayerNorm)
    assert edited.tail[0] is edited.norm


@pytest.mark.parametrize(
    ("model", "layers", "norm", "reason"),
    [
        (nn.BatchNorm1d(6), ("",), "layer", "no parent"),
        (nn.Sequential(nn.Linear(6, 6)), ("0",), "layer", "no BatchNorm"),
        (nn.Sequential(nn.Linear(6, 6)), (), "layer", "no norm to replace"),
        (nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8)), ("1",), "group", "one value"),
    ],
)
def test_what_cannot_be_replaced_says_why(model, layers, norm, reason):
    with pytest.raises(NotApplicable, match=reason):
        replaced(setup_of(model, x(4, 6)), *layers, norm=norm)
