"""Whether the loss depends on the input, and whether silent parameters could move it."""

from __future__ import annotations

import copy

import pytest
import torch
from measured import classes, data, profile
from torch import nn

from gradcheck_cli.probing.bits import fingerprint
from gradcheck_cli.probing.digest import digest


class Head(nn.Module):
    """A head that does something with what it is given."""

    def __init__(self, forward):
        super().__init__()
        self.layer, self.head, self.function = nn.Linear(4, 6), nn.Linear(6, 3), forward

    def forward(self, x):
        return self.function(self, x)


def test_a_usual_model_depends_on_its_input():
    found = profile(Head(lambda m, x: m.head(torch.relu(m.layer(x)))), data(8, 4))
    assert 0.01 < found.input_dependence <= 1.0


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.head(torch.relu(m.layer(x * 0.0))),
        lambda m, x: m.head(torch.relu(m.layer(torch.ones_like(x)))),
        lambda m, x: m.head(torch.relu(m.layer(x.mean() * torch.zeros_like(x)))),
    ],
)
def test_a_model_that_ignores_its_input(forward):
    assert profile(Head(forward), data(8, 4)).input_dependence == pytest.approx(0.0, abs=1e-7)


def test_samples_that_are_all_alike_are_tried_with_others():
    """Equal samples say nothing; other values do."""
    x = data(1, 4).repeat(8, 1)
    before = x.clone()
    found = profile(Head(lambda m, x: m.head(torch.relu(m.layer(x)))), x)
    assert found.input_dependence > 0.1
    assert torch.equal(x, before)


def test_integer_inputs_and_keyword_inputs():
    class Tokens(nn.Module):
        def __init__(self, used):
            super().__init__()
            self.embedding, self.head, self.used = nn.Embedding(30, 6), nn.Linear(6, 3), used

        def forward(self, tokens):
            tokens = tokens if self.used else tokens.clamp(3, 3)
            return self.head(self.embedding(tokens).mean(1))

    tokens = classes((1, 5), 30).repeat(4, 1)
    before = tokens.clone()
    assert profile(Tokens(True), tokens).input_dependence > 0.05
    assert profile(Tokens(False), tokens).input_dependence == pytest.approx(0.0, abs=1e-7)
    assert torch.equal(tokens, before)


def test_a_model_that_always_says_zero_tells_nothing():
    model = Head(lambda m, x: m.head(torch.relu(m.layer(x))))
    nn.init.zeros_(model.head.weight)
    nn.init.zeros_(model.head.bias)
    assert profile(model, data(8, 4), classes(8, 3), loss="cross_entropy").input_dependence is None


# --- parameters without a gradient -----------------------------------------------------------------------------------


class Silent(nn.Module):
    """A body, an unused head, a part behind a detach, and a part behind a zero gate."""

    def __init__(self):
        super().__init__()
        self.stem, self.cut, self.unused, self.gated, self.head = (nn.Linear(4, 4) for _ in range(5))
        self.gate = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        return self.head(x + torch.tanh(self.cut(x)).detach() + self.gate * self.gated(x))


def silent_of(found):
    return {p.name: p.moves_loss for p in found.parameters if p.moves_loss is not None}


def test_idle_parameters_and_cut_ones():
    torch.manual_seed(0)
    model = Silent()
    with torch.no_grad():
        model.gate.zero_()
    before, values = digest(model), copy.deepcopy(model.state_dict())
    found = profile(model, data(8, 4), classes(8, 4), loss="cross_entropy")
    assert silent_of(found) == {
        "cut.weight": True,
        "cut.bias": True,
        "unused.weight": False,
        "unused.bias": False,
        "gated.weight": False,
        "gated.bias": False,
    }
    assert found.parameter("cut.weight").state == "unreached"
    assert digest(model) == before
    assert all(fingerprint(v) == fingerprint(values[n]) for n, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_all_idle_takes_one_run():
    runs = []

    class Counted(Silent):
        def forward(self, x):
            runs.append(1)
            return self.head(torch.tanh(self.stem(x)))

    found = profile(Counted(), data(8, 4))
    assert set(silent_of(found).values()) == {False}
    assert len(runs) == 3  # the pass, the same again, and with other values in all of them at once


def test_a_model_that_does_not_repeat_itself_is_left_alone():
    calls = []

    class Restless(Silent):
        def forward(self, x):
            calls.append(1)
            return super().forward(x) + 0.1 * len(calls)

    found = profile(Restless(), data(8, 4), loss=lambda output, _: output.square().sum())
    assert silent_of(found) == {}
    assert any(p.gradient is None for p in found.parameters)


def test_random_models_repeat_themselves_from_the_same_state():
    class Noisy(Silent):
        def forward(self, x):
            return super().forward(nn.functional.dropout(x, 0.5))

    assert silent_of(profile(Noisy(), data(8, 4)))["unused.weight"] is False


class Momentum(nn.Module):
    """A student, and a teacher that is a copy of it and moves by averaging."""

    def __init__(self, same):
        super().__init__()
        self.student = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
        self.teacher = copy.deepcopy(self.student)
        if not same:
            for p in self.teacher.parameters():
                nn.init.normal_(p)

    def forward(self, x):
        with torch.no_grad():
            goal = self.teacher(x)
        return (self.student(x + 0.1) - goal).square()


@pytest.mark.parametrize("same", [True, False])
def test_a_momentum_copy_is_known_by_its_values(same):
    torch.manual_seed(0)
    found = profile(Momentum(same), data(8, 4), loss=lambda output, _: output.mean())
    for name in ("0.weight", "0.bias", "2.weight"):
        teacher = found.parameter(f"teacher.{name}")
        assert teacher.moves_loss is True
        assert teacher.twin == (f"student.{name}" if same else None)


def test_a_zero_initialised_copy_is_no_twin():
    class Zeros(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.other = nn.Linear(4, 3), nn.Linear(4, 3)
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.other.weight)

        def forward(self, x):
            return (self.head(x) + self.other(x).detach()).square() + x.sum()

    found = profile(Zeros(), data(8, 4), loss=lambda output, _: output.square().mean())
    assert found.parameter("other.weight").moves_loss is True
    assert found.parameter("other.weight").twin is None


def test_a_model_that_refuses_other_values_is_scanned_all_the_same():
    class Fragile(Silent):
        def forward(self, x):
            if not torch.equal(self.unused.weight, self.expected):
                raise ValueError("no other weights please")
            return super().forward(x)

    model = Fragile()
    model.expected = model.unused.weight.detach().clone()
    before = digest(model)
    found = profile(model, data(8, 4))
    assert digest(model) == before
    assert silent_of(found) == {}
    assert [gap for gap in found.gaps if gap.endswith("was not measured: no other weights please")]


def test_a_model_that_refuses_other_inputs_is_scanned_all_the_same():
    x = data(1, 4).repeat(8, 1)
    expected = x.clone()

    def picky(model, x):
        assert torch.equal(x, expected), "no other inputs please"
        return model.head(torch.relu(model.layer(x)))

    found = profile(Head(picky), x)
    assert torch.equal(x, expected)
    assert found.input_dependence is None
    assert [gap for gap in found.gaps if gap.endswith("was not measured: no other inputs please")]
