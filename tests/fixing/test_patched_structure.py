"""Norms, skips and gated layers: the patched model computes what its parts say."""

from __future__ import annotations

import pytest
import torch
from scanned_sources import built, edit, lines_changed
from torch import nn

from gradcheck_cli.fixing.draft import CannotPatch

DATA = "\nx, y = torch.randn(8, 6), torch.randn(8, 6)\nloss_fn = nn.MSELoss()\n"
HEAD = "import torch\nfrom torch import nn\n\n"


def _kinds(model: nn.Module) -> list[str]:
    return [type(m).__name__ for m in model.modules() if not list(m.children())]


def test_a_norm_goes_behind_each_named_element_of_a_sequential(scanned):
    text = f"""{HEAD}model = nn.Sequential(
    nn.Linear(6, 4),  # narrow
    nn.Tanh(),
    nn.Linear(4, 6),  # wide again
)
{DATA}"""
    new = scanned(text).patched(edit("normalise", ["0", "2"], norm="batch"))
    assert lines_changed(text, new) == ["    nn.BatchNorm1d(4),", "    nn.BatchNorm1d(6),"]
    assert "    nn.BatchNorm1d(6),\n)" in new
    assert _kinds(built(new)) == ["Linear", "BatchNorm1d", "Tanh", "Linear", "BatchNorm1d"]


def test_a_norm_on_one_line_and_without_a_last_comma(scanned):
    text = f"{HEAD}model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 6)){DATA}"
    new = scanned(text).patched(edit("normalise", ["0", "2"], norm="layer"))
    line = "model = nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 6), nn.LayerNorm(6))"
    assert lines_changed(text, new) == [line]


def test_a_norm_in_an_appending_loop(scanned):
    text = f"""{HEAD}
def build_model(width=6):
    layers = []
    for _ in range(3):
        layers.append(nn.Linear(in_features=6, out_features=width))  # keeps its width
        layers.append(nn.Tanh())
    return nn.Sequential(*layers)

{DATA}"""
    scan = scanned(text)
    new = scan.patched(edit("normalise", scan.named("Linear"), norm="batch"))
    assert lines_changed(text, new) == ["        layers.append(nn.BatchNorm1d(width))"]
    assert _kinds(built(new)) == ["Linear", "BatchNorm1d", "Tanh"] * 3


LOOP = f"""{HEAD}
class Net(nn.Module):
    def __init__(self, depth=3):
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(depth):
            self.layers.append(nn.Linear(6, 6))
        self.out = nn.Linear(6, 6)
        nn.init.zeros_(self.out.bias)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.out(x)


model = Net()
{DATA}"""


def test_layers_that_are_called_one_by_one_take_their_norm_along(scanned):
    """As an element of its own the norm would be followed by the activation once more."""
    new = scanned(LOOP).patched(edit("normalise", ["layers.0", "layers.1", "layers.2"], norm="batch"))
    assert lines_changed(LOOP, new) == ["            self.layers.append(nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6)))"]


def test_an_attribute_keeps_its_name_and_the_norm_stands_beside_it(scanned):
    new = scanned(LOOP).patched(edit("normalise", ["out"], norm="layer"))
    assert lines_changed(LOOP, new) == ["        self.out_norm = nn.LayerNorm(6)", "        return self.out_norm(self.out(x))"]
    assert built(new).out.weight.shape == (6, 6)


def test_channels_of_convolutions(scanned):
    text = f"""{HEAD}model = nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Conv2d(12, 6, 3))
x, y = torch.randn(4, 3, 8, 8), torch.randn(4, 6, 4, 4)
loss_fn = nn.MSELoss()
"""
    scan = scanned(text)
    for norm, first in (("batch", "nn.BatchNorm2d(12)"), ("layer", "nn.GroupNorm(1, 12)"), ("group", "nn.GroupNorm(4, 12)")):
        assert first in scan.patched(edit("normalise", ["0"], norm=norm))


def test_a_width_that_cannot_be_seen_is_refused(scanned):
    text = f"{HEAD}sizes = (6, 6)\nmodel = nn.Sequential(nn.Linear(*sizes), nn.Tanh()){DATA}"
    with pytest.raises(CannotPatch, match="outputs"):
        scanned(text).patched(edit("normalise", ["0"], norm="batch"))


def test_a_skip_adds_the_scaled_branch_to_its_input(scanned):
    model = built(scanned(LOOP).patched(edit("residual", ["layers.0", "layers.1", "layers.2", "out"])))
    x = torch.randn(2, 6)
    assert torch.allclose(model.layers[1](x), x + model.layers[1].inner(x) / 2)
    h = x
    for layer in model.layers:
        h = torch.tanh(h + layer.inner(h) / 2)
    assert torch.allclose(model(x), h + model.out(h) / 2)


def test_a_skip_leaves_alone_what_the_line_builds_with_other_shapes(scanned):
    text = LOOP.replace("nn.Linear(6, 6))\n        self.out", "nn.Linear(6 if _ else 6, 6 if _ < 2 else 5))\n        self.out")
    text = text.replace("self.out = nn.Linear(6, 6)", "self.out = nn.Linear(5, 6)")
    model = built(scanned(text).patched(edit("residual", ["layers.0", "layers.1"])))
    x = torch.randn(2, 6)
    assert model.layers[2](x).equal(model.layers[2].inner(x))
    assert not model.layers[0](x).equal(model.layers[0].inner(x))


RNN = f"""{HEAD}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(6, 5, nonlinearity="relu", batch_first=True)
        self.out = nn.Linear(5, 6)

    def forward(self, x):
        out, h = self.rnn(x)
        return self.out(h[-1])


model = Net()
x, y = torch.randn(8, 7, 6), torch.randn(8, 6)
loss_fn = nn.MSELoss()
"""


def test_a_gated_layer_takes_the_place_of_a_vanilla_one(scanned):
    new = scanned(RNN).patched(edit("recurrent", ["rnn"], to="gru"))
    assert lines_changed(RNN, new) == ["        self.rnn = nn.GRU(6, 5, batch_first=True)"]


def test_an_lstm_needs_its_state_taken_apart(scanned):
    new = scanned(RNN).patched(edit("recurrent", ["rnn"], to="lstm"))
    assert lines_changed(RNN, new) == [
        "        self.rnn = nn.LSTM(6, 5, batch_first=True)",
        "        out, (h, _) = self.rnn(x)",
    ]
    assert built(new)(torch.zeros(2, 7, 6)).shape == (2, 6)


def test_a_state_that_is_carried_on_has_no_cell_state_beside_it(scanned):
    text = RNN.replace("self.rnn(x)", "self.rnn(x, torch.zeros(1, len(x), 5))")
    with pytest.raises(CannotPatch, match="hidden state"):
        scanned(text).patched(edit("recurrent", ["rnn"], to="lstm"))


def test_batch_norm_becomes_a_norm_of_one_sample(scanned):
    text = f"{HEAD}model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Tanh()){DATA}"
    new = scanned(text).patched(edit("replace_norm", ["1"], norm="layer"))
    assert lines_changed(text, new) == ["model = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Tanh())"]


def test_a_forgotten_activation_is_put_in(scanned):
    text = f"{HEAD}model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6)){DATA}"
    new = scanned(text).patched(edit("insert_activation", ["0"], to="relu"))
    assert lines_changed(text, new) == ["model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))"]


def test_two_remedies_that_meet_at_one_line(scanned):
    text = f"{HEAD}model = nn.Sequential(nn.Linear(6, 6), nn.Sigmoid(), nn.Linear(6, 6)){DATA}"
    edits = [edit("normalise", ["0"], norm="batch"), edit("activation", ["1"], to="relu"), edit("residual", ["0"])]
    new = scanned(text).patched(*edits)
    assert "nn.Sequential(Residual(nn.Linear(6, 6), scale=1**-0.5), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 6))" in new
    assert built(new)(torch.zeros(4, 6)).shape == (4, 6)


BUILT_TOGETHER = f"""{HEAD}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([{{layer}} for _ in range(3)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x){{taken}}
        return x


model = Net()
x, y = torch.randn(4, 5, 6), torch.randn(4, 5, 6)
loss_fn = nn.MSELoss()
"""


@pytest.mark.parametrize(
    ("layer", "taken", "kind", "options"),
    [
        ("nn.Linear(6, 6)", "", "normalise", {"norm": "layer"}),
        ("nn.Linear(6, 6)", "", "residual", {}),
        ("nn.RNN(6, 6, batch_first=True)", "[0]", "recurrent", {"to": "gru"}),
        ("nn.BatchNorm1d(5)", "", "replace_norm", {"norm": "group"}),
    ],
)
def test_a_line_that_also_builds_what_the_cure_leaves_alone_is_refused(scanned, layer, taken, kind, options):
    scan = scanned(BUILT_TOGETHER.format(layer=layer, taken=taken))
    scan.patched(edit(kind, ["layers.0", "layers.1", "layers.2"], **options))
    with pytest.raises(CannotPatch, match=r"also builds `layers[.]2`, which the cure leaves alone"):
        scan.patched(edit(kind, ["layers.0", "layers.1"], **options))
