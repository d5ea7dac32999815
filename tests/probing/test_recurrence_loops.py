"""What the probe says of a recurrent layer that a loop in the user's code calls step by step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gradcheck_cli.loading.base import Batch, Objective, Outcome, Subject
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import TimeProfile
from gradcheck_cli.settings import Settings

HIDDEN, STEPS = 6, 12


class Vanilla(nn.Module):
    activation = staticmethod(torch.tanh)

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Linear(4 + HIDDEN, HIDDEN)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self.activation(self.maps(torch.cat([x, state[0]], dim=1))),)


class SigmoidVanilla(Vanilla):
    activation = staticmethod(torch.sigmoid)


class LSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Linear(4 + HIDDEN, 4 * HIDDEN)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        gates = self.maps(torch.cat([x, state[0]], dim=1))
        i, f, o = torch.sigmoid(gates[:, : 3 * HIDDEN]).chunk(3, dim=1)
        c = f * state[1] + i * torch.tanh(gates[:, 3 * HIDDEN :])
        return o * torch.tanh(c), c


class GRU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.new = nn.Linear(4 + HIDDEN, HIDDEN), nn.Linear(4 + HIDDEN, HIDDEN)

    def forward(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        both = torch.cat([x, state[0]], dim=1)
        z = torch.sigmoid(self.gate(both))
        return ((1 - z) * torch.tanh(self.new(both)) + z * state[0],)


class Looped(nn.Module):
    def __init__(self, cell: nn.Module, *, every_step: bool = False) -> None:
        super().__init__()
        self.cell, self.every_step, self.out = cell, every_step, nn.Linear(HIDDEN, 2)

    def forward(self, x: Tensor) -> Tensor:
        state: tuple[Tensor, ...] = (x.new_zeros(len(x), HIDDEN), x.new_zeros(len(x), HIDDEN))
        seen = []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            seen.append(state[0])
        return self.out(torch.stack(seen, dim=1).mean(dim=1) if self.every_step else state[0])


class Inline(nn.Module):
    """A GRU-like step in the loop's own body: only its linear layers are modules."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.new, self.out = nn.Linear(4 + HIDDEN, HIDDEN), nn.Linear(4 + HIDDEN, HIDDEN), nn.Linear(HIDDEN, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), HIDDEN)
        for t in range(x.shape[1]):
            both = torch.cat([x[:, t], h], dim=1)
            z = self.gate(both).sigmoid()
            h = torch.lerp(h, torch.tanh(self.new(both)), z)
        return self.out(h)


def times_of(model: nn.Module) -> tuple[TimeProfile, ...]:
    def compute(module: nn.Module, batch: Batch) -> Outcome:
        output = module(*batch.args)
        return Outcome(loss=nn.functional.cross_entropy(output, batch.target), output=output, target=batch.target)

    objective = Objective(name="loss", kind="cross_entropy", origin="test", compute=compute)
    batch = Batch(args=(torch.randn(5, STEPS, 4),), target=torch.tensor([0, 1, 0, 1, 1]))
    subject = Subject(model=model, batches=(batch,), objectives=(objective,), optimizer=None, sites={}, target="test")
    return probe(subject, objective, Settings(target="test")).times


@pytest.mark.parametrize(
    ("cell", "gated"), [(Vanilla, False), (SigmoidVanilla, False), (LSTM, True), (GRU, True)], ids=lambda v: str(v)
)
def test_gates_of_a_hand_written_cell_are_seen(cell: type[nn.Module], gated: bool) -> None:
    (time,) = times_of(Looped(cell()))
    assert (time.layer, time.steps, time.hand_written, time.gated) == ("cell", STEPS, True, gated)


def test_gates_in_the_body_of_the_loop_are_seen() -> None:
    times = times_of(Inline())
    assert times
    assert all(time.gated and time.steps == STEPS for time in times)


@pytest.mark.parametrize("cell", [Vanilla, LSTM, GRU])
@pytest.mark.parametrize("every_step", [False, True])
def test_where_the_loss_attaches(cell: type[nn.Module], every_step: bool) -> None:
    (time,) = times_of(Looped(cell(), every_step=every_step))
    assert time.loss_at_end is not every_step


def test_decay_equals_plain_autograd() -> None:
    torch.manual_seed(0)
    model = Looped(Vanilla())
    (time,) = times_of(model)
    x = torch.zeros(5, STEPS, 4)
    states: list[Tensor] = []
    state: tuple[Tensor, ...] = (torch.zeros(5, HIDDEN),)
    for t in range(STEPS):
        state = model.cell(x[:, t], state)
        states.append(state[0])
    gradients = torch.autograd.grad(states[-1], states[:-1], torch.randn(5, HIDDEN))
    slope = (gradients[0].norm().log10() - gradients[-1].norm().log10()) / (STEPS - 2)
    assert time.decay == pytest.approx(float(slope), abs=0.1)  # another input and projection, the same weights
