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


sample = torch.randn(16, 80, 6), torch.randn(16, 1)
criterion = nn.MSELoss()
