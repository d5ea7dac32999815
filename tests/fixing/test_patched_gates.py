"""Functional activations: what computes a gate, the model's output or nothing that runs is left as it is."""

from __future__ import annotations

import pytest
from scanned_sources import edit, lines_changed

from gradcheck_cli.fixing.draft import CannotPatch

NET = """import torch
from torch import nn


def gate(x):
    return torch.sigmoid(x)


def probability(logit):
    return torch.sigmoid(logit)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.gate = nn.Linear(4, 4)
        self.out = nn.Linear(4, 4)

    def forward(self, x):
{forward}

    def predict(self, x):
        return torch.sigmoid(self(x))


model = Net()
x, y = torch.randn(8, 4), torch.randn(8, 4)
loss_fn = nn.MSELoss()
"""


def net(*lines: str) -> str:
    return NET.replace("{forward}", "\n".join(" " * 8 + line for line in lines))


def test_what_forward_never_runs_stays(scanned):
    text = net("return self.out(torch.sigmoid(self.gate(x)))")
    scan = scanned(text)
    new = scan.patched(edit("activation", scan.named("sigmoid"), to="relu"))
    assert lines_changed(text, new) == ["        return self.out(torch.relu(self.gate(x)))"]


def test_only_the_function_that_forward_calls_is_changed(scanned):
    text = net("for block in self.blocks:", "    x = gate(block(x))", "return self.out(x)")
    scan = scanned(text)
    new = scan.patched(edit("activation", scan.named("sigmoid"), to="relu"))
    assert lines_changed(text, new) == ["    return torch.relu(x)"]
    assert new.index("torch.relu(x)") < new.index("def probability")


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["g = torch.sigmoid(self.gate(x))", "return self.out(x) * g"], 21),
        (["return self.out(x * torch.sigmoid(self.gate(x)))"], 21),
        (["g = torch.sigmoid(self.gate(x)).view(-1, 4)", "return (1 - g) * self.out(x) + x"], 21),
        (["return torch.lerp(x, self.out(x), torch.sigmoid(self.gate(x)))"], 21),
        (["return torch.mul(self.out(x), torch.sigmoid(self.gate(x)))"], 21),
        (["g = gate(self.gate(x))", "return g * self.out(x)"], 6),
        (["x = self.out(x)", "x = torch.sigmoid(x)", "return x"], 22),
        (["for block in self.blocks:", "    x = torch.sigmoid(block(x))", "return x"], 22),
    ],
)
def test_a_gate_or_an_output_is_refused_with_its_line(scanned, lines, line):
    scan = scanned(net(*lines))
    with pytest.raises(CannotPatch, match=f"model.py:{line} "):
        scan.patched(edit("activation", scan.named("sigmoid"), to="relu"))


@pytest.mark.parametrize(
    "lines",
    [
        ["return self.out(2 * torch.sigmoid(self.gate(x)) - 1)"],
        ["return x + self.out(torch.sigmoid(self.gate(x)))"],
        ["h = torch.sigmoid(self.gate(x))", "h = self.out(h)", "return h * x"],
    ],
)
def test_a_plain_activation_is_changed(scanned, lines):
    text = net(*lines)
    scan = scanned(text)
    (line,) = lines_changed(text, scan.patched(edit("activation", scan.named("sigmoid"), to="relu")))
    assert "torch.relu(self.gate(x))" in line


APART = """import torch
from torch import nn


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return torch.sigmoid(self.fc(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = Part()
        self.rest = nn.Linear(4, 4)

    def forward(self, x):
        return {output}


model = Net()
x, y = torch.randn(8, 4), torch.randn(8, 4)
loss_fn = nn.MSELoss()
"""


@pytest.mark.parametrize(("output", "reason"), [("self.rest(x) * self.part(x)", "gate"), ("self.part(self.rest(x))", "output")])
def test_a_class_whose_output_is_a_gate_or_the_model_s_is_refused(scanned, output, reason):
    scan = scanned(APART.replace("{output}", output))
    with pytest.raises(CannotPatch, match=f"model.py:11 .*{reason}"):
        scan.patched(edit("activation", ["part/sigmoid"], to="relu"))


def test_a_class_whose_output_goes_on_is_changed(scanned):
    text = APART.replace("{output}", "self.rest(self.part(x))")
    new = scanned(text).patched(edit("activation", ["part/sigmoid"], to="relu"))
    assert lines_changed(text, new) == ["        return torch.relu(self.fc(x))"]


def test_a_gate_that_the_cure_leaves_alone_stays(scanned):
    loop = ["for block in self.blocks:", "    x = torch.sigmoid(block(x))"]
    first = net("g = torch.sigmoid(self.gate(x))", *loop, "return self.out(x) * g")
    scan = scanned(first)
    new = scan.patched(edit("activation", scan.named("sigmoid")[1:], to="relu"))
    assert lines_changed(first, new) == ["            x = torch.relu(block(x))"]
    last = net(*loop, "h = torch.sigmoid(self.gate(x))", "return self.out(h)")
    scan = scanned(last)
    new = scan.patched(edit("activation", scan.named("sigmoid")[-1:], to="relu"))
    assert lines_changed(last, new) == ["        h = torch.relu(self.gate(x))"]


def test_a_method_of_the_same_name_is_no_operation(scanned):
    text = net(
        'text = tokens.sigmoid("a")', "scale = np.tanh(0.5)", "x = self.gate(x).sigmoid().tanh()", "return self.out(x) * scale"
    )
    text = text.replace(
        "class Net", "class Tokens:\n    def sigmoid(self, text):\n        return text\n\n\ntokens = Tokens()\n\n\nclass Net"
    )
    text = "import numpy as np\n" + text
    scan = scanned(text)
    for kind in ("sigmoid", "tanh"):
        new = scan.patched(edit("activation", scan.named(kind), to="relu"))
        (line,) = lines_changed(text, new)
        assert line.strip() in ("x = self.gate(x).relu().tanh()", "x = self.gate(x).sigmoid().relu()")
