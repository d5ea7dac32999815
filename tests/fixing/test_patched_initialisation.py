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


FROZEN = PLAIN.replace("        self.apply(shrink)\n", "        self.body.requires_grad_(False)\n")
ALL = ("body.0", "head")


def _same_body(text: str, new: str) -> bool:
    torch.manual_seed(3)
    was = built(text).body[0]
    torch.manual_seed(3)
    now = built(new).body[0]
    return torch.equal(was.weight, now.weight) and torch.equal(was.bias, now.bias)


@pytest.mark.parametrize(
    "text",
    [
        FROZEN,
        FROZEN.replace("        self.body.req", "        for p in self.body.parameters():\n            p.req").replace(
            "ad_(False)", "ad = False"
        ),
    ],
)
def test_frozen_weights_stay(scanned, text):
    new = scanned(text).patched(edit("initialise", ALL, scheme="he"), edit("scale_weights", ALL, factor=3.0))
    assert "isinstance(module, nn.Linear) and module.weight.requires_grad:" in new
    assert _same_body(text, new)
    assert not built(new).head.bias.any()


def test_weights_frozen_where_the_constructor_does_not_show_it_are_left_out_by_name(scanned):
    text = PLAIN.replace("        self.apply(shrink)\n", "").replace(
        "model = Net()\n", "def freeze(part):\n    part.requires_grad_(False)\n\n\nmodel = Net()\nfreeze(model.body)\n"
    )
    new = scanned(text).patched(edit("bias", ALL, value=0.5))
    assert _same_body(text, new)
    assert built(new).head.bias.eq(0.5).all()
    assert "requires_grad:" not in new


def test_frozen_weights_alone_are_refused(scanned):
    with pytest.raises(CannotPatch, match="frozen"):
        scanned(FROZEN).patched(edit("initialise", ["body.0"], scheme="he"))
    with pytest.raises(CannotPatch, match="frozen"):
        scanned(FROZEN).patched(edit("initialise", ["body.0.weight"], scheme="he"))


PRIOR = PLAIN.replace("        self.apply(shrink)\n", "        self.start()\n\n    def start(self):\n        {how}\n")


@pytest.mark.parametrize("how", ["nn.init.constant_(self.head.bias, -4.6)", "self.head.bias.data.fill_(-4.6)"])
def test_the_bias_that_the_file_gives_the_output_stays(scanned, how):
    text = PRIOR.replace("{how}", how)
    scan = scanned(text)
    model = built(scan.patched(edit("initialise", ALL, scheme="he")))
    assert model.head.bias.allclose(torch.tensor(-4.6))
    assert not model.body[0].bias.any()
    assert scan.notes(edit("initialise", ALL, scheme="he")) == ()
    assert built(scan.patched(edit("bias", ALL, value=0.25))).head.bias.eq(0.25).all()


def test_what_the_patch_overwrites_is_noted(scanned):
    (note,) = scanned(PLAIN).notes(edit("initialise", ALL, scheme="he"))
    assert "model.py:15 " in note
    scan = scanned(PRIOR.replace("{how}", "nn.init.zeros_(self.head.weight)"))
    (note,) = scan.notes(edit("initialise", ALL, scheme="he"))
    assert "model.py:15 " in note


SUBCLASS = PLAIN.replace("class Net(nn.Module)", "class Own(nn.Linear):\n    pass\n\n\nclass Net(nn.Module)").replace(
    "        self.apply(shrink)\n", ""
)


@pytest.mark.parametrize(
    "text",
    [
        SUBCLASS.replace("nn.Linear(64, 64), nn.Tanh()", "Own(64, 64), nn.Tanh()"),
        PLAIN.replace("        self.apply(shrink)\n", "").replace(
            "nn.Linear(64, 64), nn.Tanh()", "nn.TransformerEncoderLayer(64, 2, 8)"
        ),
    ],
)
def test_layers_of_a_class_made_from_the_named_one_stay(scanned, text):
    new = scanned(text).patched(edit("initialise", ["head"], scheme="he"))
    torch.manual_seed(3)
    was = built(text).body.state_dict()
    torch.manual_seed(3)
    now = built(new).body.state_dict()
    assert all(torch.equal(was[key], now[key]) for key in was)


def test_a_class_made_from_the_named_one_is_not_taken_for_it(scanned):
    text = PLAIN.replace("        self.apply(shrink)\n", "").replace(
        "nn.Linear(64, 64), nn.Tanh()", "nn.TransformerEncoderLayer(64, 2, 8)"
    )
    scan = scanned(text)
    torch.manual_seed(3)
    was = built(text).body[0].self_attn.out_proj.weight
    torch.manual_seed(3)
    now = built(scan.patched(edit("initialise", scan.named("Linear"), scheme="he"))).body[0].self_attn.out_proj.weight
    assert torch.equal(was, now)
