"""A recurrent network written by hand: one cell of two linear maps, a Python loop over 80 steps, no nn.RNN anywhere."""
# gradcheck-expect: GC103

import torch
from torch import Tensor, nn


class Cell(nn.Module):
    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.input_map = nn.Linear(features, hidden)
        self.hidden_map = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.input_map(x) + self.hidden_map(h))


class ManyToOne(nn.Module):
    def __init__(self, features: int = 6, hidden: int = 24) -> None:
        super().__init__()
        self.hidden = hidden
        self.cell = Cell(features, hidden)
        self.readout = nn.Linear(hidden, 1)

    def forward(self, sequence: Tensor) -> Tensor:
        h = sequence.new_zeros(sequence.shape[0], self.hidden)
        for t in range(sequence.shape[1]):
            h = self.cell(sequence[:, t], h)
        return self.readout(h)


def build_model() -> ManyToOne:
    return ManyToOne()


def get_batch(size: int = 32) -> tuple[Tensor, Tensor]:
    """Sequences whose first ten steps point up or down, which is asked for at the end; noise follows."""
    goal = torch.randint(0, 2, (size, 1)) * 2.0 - 1.0
    sequence = torch.randn(size, 80, 6)
    sequence[:, :10] += 2.0 * goal[:, None]
    return sequence, goal


model = build_model()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
