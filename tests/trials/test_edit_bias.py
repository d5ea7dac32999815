import copy

import pytest
import torch
from torch import nn

from gradcheck_cli.probing.digest import digest
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, apply
from tests.trials.setups import setup_of


def biased(setup, *layers, **options):
    return apply(setup, [Edit(kind="bias", layers=layers, options=options)]).subject.model


def x(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def recurrent(layer):
    return setup_of(layer, x(3, 2, 5), loss=lambda output, _: output[0].square().mean())


def test_the_bias_is_set_and_nothing_else():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2, bias=False), nn.LayerNorm(2))
    before = digest(model)
    edited = biased(setup_of(model, x(5, 6)), "0", "2", value=0.25)
    assert digest(model) == before
    expected = torch.relu(x(5, 6) @ model[0].weight.T + 0.25)
    torch.testing.assert_close(edited[:2](x(5, 6)), expected)
    torch.testing.assert_close(copy.deepcopy(edited)[:2](x(5, 6)), expected)
    assert torch.equal(edited[3].bias, model[3].bias)


@pytest.mark.parametrize(("kind", "gate", "gates"), [(nn.LSTM, "forget", 4), (nn.GRU, "update", 3)])
def test_the_gate_of_all_layers_and_directions(kind, gate, gates):
    layer = kind(5, 8, num_layers=2, bidirectional=True)
    edited = biased(recurrent(layer), "", value=2.0, gate=gate)
    for (name, own), (_, other) in zip(edited.named_parameters(), layer.named_parameters(), strict=True):
        parts = list(zip(own.chunk(gates), other.chunk(gates), strict=True))
        for i, (new, old) in enumerate(parts):
            wanted = torch.full_like(old, 2.0) if "bias_hh" in name and i == 1 else old
            assert torch.equal(new, wanted), (name, i)


def test_an_open_forget_gate_keeps_the_memory():
    """The gate named forget really is the one that multiplies the cell's state."""
    layer = nn.LSTMCell(5, 8)

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = layer

        def forward(self, inputs):
            return self.cell(inputs)[0]

    cell = biased(setup_of(Loop(), x(2, 5)), "cell", value=50.0, gate="forget").cell
    memory = x(2, 8)
    _, kept = cell(torch.zeros(2, 5), (torch.zeros(2, 8), memory))
    _, added = cell(torch.zeros(2, 5), (torch.zeros(2, 8), torch.zeros(2, 8)))
    torch.testing.assert_close(kept - added, memory)


def test_an_open_update_gate_keeps_the_state():
    layer = nn.GRU(5, 8)
    edited = biased(recurrent(layer), "", value=50.0, gate="update")
    state = x(1, 2, 8)
    torch.testing.assert_close(edited(x(3, 2, 5), state)[1], state)


@pytest.mark.parametrize(
    ("layer", "options", "reason"),
    [
        (nn.GRU(5, 8), {"gate": "forget"}, "forget gate"),
        (nn.LSTM(5, 8, bias=False), {"gate": "forget"}, "forget gate"),
        (nn.LSTM(5, 8, bias=False), {}, "no trainable bias"),
        (nn.LSTM(5, 8), {"gate": "revolving"}, "no gate"),
    ],
)
def test_what_has_no_bias_says_so(layer, options, reason):
    with pytest.raises(NotApplicable, match=reason):
        biased(recurrent(layer), "", value=1.0, **options)
