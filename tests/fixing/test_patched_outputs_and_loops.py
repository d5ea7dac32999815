"""Outputs, losses, guards, cuts, optimizers and precision."""

from __future__ import annotations

import pytest
import torch
from scanned_sources import built, edit, lines_changed

from gradcheck_cli.fixing.draft import CannotPatch

HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\n"
DATA = "x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))\nloss_fn = nn.CrossEntropyLoss()\n"


def net(last: str, extra: str = "", loss: str = "loss_fn = nn.CrossEntropyLoss()\n") -> str:
    return f"""{HEAD}class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3){extra}

    def forward(self, x):
        return {last}


model = Net()
x, y = torch.rand(8, 6), torch.randint(0, 3, (8,))
{loss}"""


@pytest.mark.parametrize("last", ["torch.softmax(self.fc(x), dim=1)", "F.softmax(self.fc(x), 1)", "self.fc(x).softmax(dim=-1)"])
def test_the_last_call_is_taken_away(scanned, last):
    text = net(last)
    new = scanned(text).patched(edit("output", drop=True))
    assert lines_changed(text, new) == ["        return self.fc(x)"]


def test_a_last_module_in_a_sequential_goes_and_an_attribute_becomes_identity(scanned):
    text = f"{HEAD}model = nn.Sequential(\n    nn.Linear(6, 3),  # logits\n    nn.Softmax(dim=1),  # too early\n)\n{DATA}"
    new = scanned(text).patched(edit("output", ["1"], drop=True))
    assert new == text.replace("    nn.Softmax(dim=1),  # too early\n", "")
    text = net("self.last(self.fc(x))", "\n        self.last = nn.Softmax(dim=1)")
    new = scanned(text).patched(edit("output", (), drop=True))
    assert lines_changed(text, new) == ["        self.last = nn.Identity()"]


@pytest.mark.parametrize(
    ("loss", "to", "line"),
    [
        ("loss_fn = nn.NLLLoss()\n", "cross_entropy", "loss_fn = nn.CrossEntropyLoss()"),
        ("criterion = nn.NLLLoss(reduction='sum')\n", "cross_entropy", "criterion = nn.CrossEntropyLoss(reduction='sum')"),
        ("loss_fn = F.nll_loss\n", "cross_entropy", "loss_fn = F.cross_entropy"),
        (
            "def loss_fn(a, b):\n    return 2 * F.nll_loss(a, b)\n",
            "cross_entropy",
            "    return 2 * F.cross_entropy(a, b)",
        ),
    ],
)
def test_the_loss_is_exchanged_where_it_is_defined(scanned, loss, to, line):
    text = net("self.fc(x)", loss=loss)
    assert lines_changed(text, scanned(text).patched(edit("output", loss=to))) == [line]


@pytest.mark.parametrize(
    ("last", "operation", "expected"),
    [
        ("torch.log(self.fc(x))", "log", "torch.log(self.fc(x).clamp_min(1e-8))"),
        ("self.fc(x).log()", "log", "self.fc(x).clamp_min(1e-8).log()"),
        ("torch.log(1 + self.fc(x))", "log", "torch.log((1 + self.fc(x)).clamp_min(1e-8))"),
        ("self.fc(x) / x.norm()", "div", "self.fc(x) / x.norm().clamp_min(1e-8)"),
        ("self.fc(x) / x.sum()", "div", "self.fc(x) / (x.sum() + 1e-8)"),
        ("self.fc(x).sqrt() / x.shape[0]", "sqrt", "(self.fc(x).clamp_min(0) + 1e-8).sqrt() / x.shape[0]"),
        ("torch.exp(self.fc(x))", "exp", "torch.exp(self.fc(x).clamp(max=20))"),
        ("self.fc(x) ** 0.5", "pow", "self.fc(x).clamp_min(1e-8) ** 0.5"),
    ],
)
def test_an_argument_is_kept_in_its_domain(scanned, last, operation, expected):
    text = net(last)
    new = scanned(text).patched(edit("guard", [""], operation=operation))
    assert lines_changed(text, new) == [f"        return {expected}"]
    assert torch.isfinite(built(new)(torch.rand(2, 6))).all()


def test_a_divisor_read_from_a_shape_needs_no_guard(scanned):
    with pytest.raises(CannotPatch, match="no div"):
        scanned(net("self.fc(x) / x.shape[0] / 2")).patched(edit("guard", [""], operation="div"))


def test_cuts_are_undone_in_the_class_that_makes_them(scanned):
    text = net("self.fc(x) + self.other(x).detach()", "\n        self.other = nn.Linear(6, 3)")
    new = scanned(text).patched(edit("reconnect", ["other"]))
    assert lines_changed(text, new) == ["        return self.fc(x) + self.other(x)"]
    with pytest.raises(CannotPatch):
        scanned(net("self.fc(x)")).patched(edit("reconnect", ["fc"]))


LOOP = """optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)  # fast


def train():
    for _ in range(3):
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""


def test_learning_rate_and_optimizer(scanned):
    text = net("self.fc(x)") + LOOP
    new = scanned(text).patched(edit("learning_rate", lr=0.012345))
    assert lines_changed(text, new) == ["optimizer = torch.optim.SGD(model.parameters(), lr=0.012, momentum=0.9)  # fast"]
    new = scanned(text).patched(edit("optimizer", name="Adam", lr=1e-3), edit("weight_decay", value=0.01))
    line = "optimizer = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=0.01)  # fast"
    assert lines_changed(text, new) == [line]


def test_a_learning_rate_in_second_place(scanned):
    text = net("self.fc(x)") + "from torch.optim import SGD\noptimizer = SGD(model.parameters(), 0.5)\n"
    new = scanned(text).patched(edit("learning_rate", lr=0.1))
    assert lines_changed(text, new) == ["optimizer = SGD(model.parameters(), 0.1)"]


def test_clipping_goes_between_backward_and_step(scanned):
    text = net("self.fc(x)") + LOOP
    new = scanned(text).patched(edit("clip", norm=1.25))
    assert (
        "        loss.backward()\n        nn.utils.clip_grad_norm_(model.parameters(), 1.25)\n        optimizer.step()\n" in new
    )
    with pytest.raises(CannotPatch, match="no `backward"):
        scanned(net("self.fc(x)")).patched(edit("clip", norm=1.25))


def test_half_precision_by_both_of_its_names(scanned):
    text = net("self.fc(x)").replace("model = Net()", "model = Net().to(torch.float16)").replace("(8, 6)", "(8, 6).half()")
    text = text.replace("torch.rand(8, 6).half()", "torch.rand(8, 6, dtype=torch.half)")
    text = text.replace("torch.randn(8, 6)", "torch.randn(8, 6).half()")
    new = scanned(text).patched(edit("precision", dtype="bfloat16"))
    assert "Net().to(torch.bfloat16)" in new
    assert "dtype=torch.bfloat16" in new


def test_a_kind_without_a_form_is_named(scanned):
    with pytest.raises(CannotPatch, match="`warm_up` has no form in source"):
        scanned(net("self.fc(x)")).patched(edit("warm_up", steps=100))
