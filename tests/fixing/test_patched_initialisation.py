"""Initial weights: drawn in a function that every built model runs through, last of all."""

from __future__ import annotations

import math

import pytest
import torch
from scanned_sources import built, edit, lines_changed

from gradcheck_cli.fixing.draft import CannotPatch

DATA = "\nx, y = torch.randn(8, 64), torch.randn(8, 64)\nloss_fn = nn.MSELoss()\n"
PLAIN = f"""import torch
from torch import nn


def shrink(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=1e-3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.Tanh())
        self.head = nn.Linear(64, 64)
        self.apply(shrink)

    def forward(self, x):
        return self.head(self.body(x))


model = Net()
{DATA}"""


def _std(module: torch.Tensor) -> float:
    return float(module.detach().std())


@pytest.mark.parametrize(
    ("scheme", "gain_of", "std"),
    [
        ("he", "relu", math.sqrt(2 / 64)),
        ("he", "gelu", math.sqrt(2 / 64)),
        ("xavier", "tanh", 5 / 3 / 8),
        ("orthogonal", "linear", 1 / 8),
        ("lecun", "linear", 1 / 8),
        ("default", "linear", 1 / math.sqrt(3 * 64)),
    ],
)
def test_each_scheme_draws_with_its_own_size(scanned, scheme, gain_of, std):
    torch.manual_seed(0)
    new = scanned(PLAIN).patched(edit("initialise", ["body.0", "head"], scheme=scheme, gain_of=gain_of))
    model = built(new)
    assert _std(model.body[0].weight) == pytest.approx(std, rel=0.05)
    assert _std(model.head.weight) == pytest.approx(std, rel=0.05)
    assert "isinstance(module, nn.Linear)" in new


def test_named_layers_alone(scanned):
    model = built(scanned(PLAIN).patched(edit("initialise", ["head"], scheme="he")))
    assert _std(model.body[0].weight) == pytest.approx(1e-3, rel=0.1)
    assert _std(model.head.weight) == pytest.approx(math.sqrt(2 / 64), rel=0.1)
    assert not model.head.bias.any()


def test_a_parameter_alone_leaves_the_bias(scanned):
    model = built(scanned(PLAIN).patched(edit("initialise", ["head.weight"], scheme="default")))
    assert _std(model.head.weight) == pytest.approx(1 / math.sqrt(3 * 64), rel=0.1)
    assert model.head.bias.any()


def test_what_the_file_does_to_the_built_model_comes_before(scanned):
    text = PLAIN.replace("        self.apply(shrink)\n", "").replace("model = Net()\n", "model = Net()\nmodel.apply(shrink)\n")
    new = scanned(text).patched(edit("initialise", ["body.0", "head"], scheme="he"))
    assert new.index("model.apply(shrink)") < new.index("initialise_weights(model)\n", new.index("model = Net()"))
    assert _std(built(new).head.weight) == pytest.approx(math.sqrt(2 / 64), rel=0.1)


def test_a_model_that_a_factory_returns(scanned):
    text = f"import torch\nfrom torch import nn\n\n\ndef build_model():\n    return nn.Sequential(nn.Linear(64, 64))\n\n{DATA}"
    new = scanned(text).patched(edit("initialise", ["0"], scheme="he"))
    assert "    model = nn.Sequential(nn.Linear(64, 64))\n    initialise_weights(model)\n    return model\n" in new
    assert _std(built(new)[0].weight) == pytest.approx(math.sqrt(2 / 64), rel=0.1)


def test_a_name_that_is_taken_gets_another(scanned):
    text = PLAIN.replace("shrink", "initialise_weights")
    new = scanned(text).patched(edit("initialise", ["head"], scheme="he"))
    assert _std(built(new).head.weight) == pytest.approx(math.sqrt(2 / 64), rel=0.1)


def test_biases_factors_and_gates(scanned):
    edits = [edit("bias", ["head"], value=0.25), edit("scale_weights", ["body.0"], factor=100.0)]
    model = built(scanned(PLAIN).patched(*edits, edit("open_gate", ["head.weight"], value=0.1)))
    assert model.head.bias.eq(0.25).all()
    assert _std(model.body[0].weight) == pytest.approx(0.1, rel=0.1)
    assert _std(model.head.weight) == pytest.approx(0.1, rel=0.1)


def test_lsuv_is_refused_because_it_needs_a_batch(scanned):
    with pytest.raises(CannotPatch, match="batch"):
        scanned(PLAIN).patched(edit("initialise", ["head"], scheme="lsuv"))


def test_a_class_in_another_file_is_patched_there(scanned):
    head, _, tail = PLAIN.partition("model = Net()\n")
    scan = scanned(f"import torch\nfrom torch import nn\nfrom layers import Net\n\nmodel = Net()\n{tail}", layers=head)
    new = scan.patched(edit("activation", ["body.1"], to="relu"), edit("initialise", ["body.0", "head"], scheme="he"))
    assert "        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU())" in lines_changed(head, new)
    assert "        initialise_weights(self)" in lines_changed(head, new)


def test_a_model_of_an_installed_package_is_refused(scanned):
    text = f"import torch\nfrom torch import nn\n\nmodel = nn.TransformerEncoderLayer(64, 4)\n{DATA}"
    with pytest.raises(CannotPatch):
        scanned(text).patched(edit("activation", ["/relu"], to="gelu"))
