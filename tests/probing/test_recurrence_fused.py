"""Gradient through time of nn.RNN, nn.LSTM and nn.GRU against cells called step by step."""

from __future__ import annotations

import math

import pytest
import torch
from measured import classes, data, profile
from torch import nn

CELLS = {nn.RNN: nn.RNNCell, nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell}
STEPS, INPUT, HIDDEN = 14, 5, 6


class Recurrent(nn.Module):
    """A recurrent layer and a head that reads the last step, every step, or the final state."""

    def __init__(self, kind, reads="last", **options):
        super().__init__()
        self.rnn = kind(INPUT, HIDDEN, **options)
        self.head = nn.Linear(HIDDEN * (2 if options.get("bidirectional") else 1), 3)
        self.reads, self.dim = reads, 1 if options.get("batch_first") else 0

    def forward(self, x):
        output, state = self.rnn(x)
        if self.reads == "state":
            return self.head((state[0] if isinstance(state, tuple) else state)[-1])
        if self.reads == "mean":
            output = output.mean(self.dim, keepdim=True)
        return self.head(output if self.reads == "every" else output.select(self.dim, -1))


def by_hand(rnn, x, suffix=""):
    """L2 of the last step's projected gradient at each input step, the last first; x is [T, N, F]."""
    cell = CELLS[type(rnn)](INPUT, HIDDEN).double()
    cell.load_state_dict({n: getattr(rnn, f"{n}_l0{suffix}").double() for n, _ in cell.named_parameters()})
    steps = [s.double().requires_grad_(True) for s in x]
    state = None
    for step in steps if not suffix else reversed(steps):
        state = cell(step, state)
    last = state[0] if isinstance(state, tuple) else state
    weights = torch.randn(last.shape, generator=torch.Generator().manual_seed(0))
    gradients = torch.autograd.grad((last * weights).sum(), steps)
    l2 = [g.norm().item() for g in gradients]
    return l2 if suffix else l2[::-1]


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_agrees_with_the_cell_called_step_by_step(kind, batch_first, bidirectional):
    torch.manual_seed(0)
    model = Recurrent(kind, batch_first=batch_first, bidirectional=bidirectional)
    x = data(4, STEPS, INPUT) if batch_first else data(STEPS, 4, INPUT)
    times = profile(model, x).times
    assert [t.direction for t in times] == ["forward", "backward"][: 1 + bidirectional]
    inputs = x.transpose(0, 1) if batch_first else x
    for time, suffix in zip(times, ["", "_reverse"], strict=False):
        assert (time.layer, time.kind, time.steps, time.hand_written) == ("rnn", kind.__name__, STEPS, False)
        assert time.gated is (kind is not nn.RNN)
        expected = by_hand(model.rnn, inputs, suffix)
        assert list(time.l2) == pytest.approx(expected, rel=1e-3)
        logs = [math.log10(v) for v in expected]
        assert time.decay == pytest.approx(slope(logs), abs=1e-3)
        below = [i for i, v in enumerate(expected) if v < 0.01 * expected[0]]
        assert time.horizon == (below[0] if below else None)


def slope(y):
    x = range(len(y))
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(("reads", "at_end"), [("last", True), ("state", True), ("every", False), ("mean", False)])
@pytest.mark.parametrize("batch_first", [False, True])
def test_where_the_loss_attaches(kind, reads, at_end, batch_first):
    x = data(4, STEPS, INPUT) if batch_first else data(STEPS, 4, INPUT)
    (time,) = profile(Recurrent(kind, reads, batch_first=batch_first), x).times
    assert time.loss_at_end is at_end


@pytest.mark.parametrize("batch_first", [False, True])
def test_packed_sequences_are_measured_on_the_longest(batch_first):
    class Packed(Recurrent):
        def forward(self, x):
            lengths = torch.tensor([9, STEPS, 4, STEPS])
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=batch_first, enforce_sorted=False)
            return self.head(self.rnn(packed)[1][0][-1])

    torch.manual_seed(0)
    x = data(4, STEPS, INPUT)
    model = Packed(nn.LSTM, batch_first=batch_first)
    (time,) = profile(model, x if batch_first else x.transpose(0, 1)).times
    assert list(time.l2) == pytest.approx(by_hand(model.rnn, x[[1, 3]].transpose(0, 1)), rel=1e-3)
    assert time.loss_at_end


def test_one_sequence_without_a_batch_dimension():
    class Single(Recurrent):
        def forward(self, x):
            return self.head(self.rnn(x)[0][-1])

    for batch_first in (False, True):
        model = Single(nn.GRU, batch_first=batch_first)
        x = data(STEPS, INPUT)
        (time,) = profile(model, x).times
        assert list(time.l2) == pytest.approx(by_hand(model.rnn, x.unsqueeze(1)), rel=1e-3)


def test_the_input_given_by_name():
    class Named(Recurrent):
        def forward(self, x):
            return self.head(self.rnn(input=x)[0][-1])

    assert [t.steps for t in profile(Named(nn.LSTM), data(STEPS, 4, INPUT)).times] == [STEPS]


def test_several_layers_and_dropout():
    model = Recurrent(nn.LSTM, num_layers=2, dropout=0.5)
    (time,) = profile(model, data(STEPS, 4, INPUT)).times
    assert len(time.l2) == STEPS
    assert all(v > 0 for v in time.l2)


def test_an_identity_network_keeps_its_gradient():
    """ReLU units, the identity as recurrent matrix, positive inputs: nothing is lost, whatever the length (IRNN)."""
    model = Recurrent(nn.RNN, nonlinearity="relu")
    with torch.no_grad():
        model.rnn.weight_hh_l0.copy_(torch.eye(HIDDEN))
        model.rnn.weight_ih_l0.abs_()
        model.rnn.bias_ih_l0.abs_()
        model.rnn.bias_hh_l0.abs_()
    (time,) = profile(model, data(60, 4, INPUT).abs()).times
    assert time.decay == pytest.approx(0.0, abs=1e-6)
    assert time.horizon is None
    with torch.no_grad():
        model.rnn.weight_hh_l0.mul_(0.8)
    (time,) = profile(model, data(60, 4, INPUT).abs()).times
    assert time.decay == pytest.approx(math.log10(0.8), abs=1e-4)
    assert time.horizon == math.ceil(math.log(0.01) / math.log(0.8))


def test_short_sequences_are_depth():
    assert profile(Recurrent(nn.LSTM), data(7, 4, INPUT)).times == ()


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("every", [False, True])
def test_a_fused_layer_or_cell_that_a_loop_calls(kind, every):
    """One step at a time through the fused layer, and through the cell itself."""

    class Loop(nn.Module):
        def __init__(self, fused):
            super().__init__()
            self.rnn = kind(INPUT, HIDDEN, batch_first=True) if fused else CELLS[kind](INPUT, HIDDEN)
            self.fused, self.head = fused, nn.Linear(HIDDEN, 3)

        def forward(self, x):
            state, seen = None, []
            for t in range(x.shape[1]):
                if self.fused:
                    output, state = self.rnn(x[:, t : t + 1], state)
                    seen.append(output[:, 0])
                else:
                    state = self.rnn(x[:, t], state)
                    seen.append(state[0] if isinstance(state, tuple) else state)
            return self.head(torch.stack(seen, 1).mean(1) if every else seen[-1])

    for fused in (True, False):
        torch.manual_seed(0)
        (time,) = profile(Loop(fused), data(4, STEPS, INPUT)).times
        assert (time.layer, time.steps, time.hand_written, time.loss_at_end) == ("rnn", STEPS, True, not every)
        assert time.gated is (kind is not nn.RNN)
        torch.manual_seed(0)
        (whole,) = profile(Recurrent(kind, batch_first=True), data(4, STEPS, INPUT)).times
        assert time.decay == pytest.approx(whole.decay, abs=0.06)  # measured at the states, not at the inputs


def test_a_head_applied_to_every_step_is_no_loop():
    class Each(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(INPUT, 2)

        def forward(self, x):
            return torch.stack([self.head(x[:, t]) for t in range(x.shape[1])], 1)

    assert profile(Each(), data(4, STEPS, INPUT)).times == ()


def test_tokens_and_targets_at_every_step():
    """A character model: embedding, LSTM, a prediction for each token."""

    class Characters(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.rnn, self.head = (
                nn.Embedding(11, INPUT),
                nn.LSTM(INPUT, HIDDEN, batch_first=True),
                nn.Linear(HIDDEN, 11),
            )

        def forward(self, tokens):
            return self.head(self.rnn(self.embedding(tokens))[0]).transpose(1, 2)

    (time,) = profile(Characters(), classes((4, STEPS), 11), classes((4, STEPS), 11), loss="cross_entropy").times
    assert not time.loss_at_end
