"""An LSTM written by hand, its four gates from one linear layer, looped over 200 steps; healthy like nn.LSTM itself."""
# gradcheck-expect: clean

import torch
from torch import Tensor, nn


class MyLSTMCell(nn.Module):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.gates = nn.Linear(input_size + hidden_size, 4 * hidden_size)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        i, f, g, o = self.gates(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class SentimentModel(nn.Module):
    def __init__(self, vocab: int = 60, dim: int = 16, hidden: int = 24) -> None:
        super().__init__()
        self.hidden = hidden
        self.embedding = nn.Embedding(vocab, dim)
        self.cell = MyLSTMCell(dim, hidden)
        self.out = nn.Linear(hidden, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        h = c = x.new_zeros(len(tokens), self.hidden)
        for step in x.unbind(dim=1):
            h, c = self.cell(step, (h, c))
        return self.out(h)


model = SentimentModel()
loss_fn = nn.CrossEntropyLoss()
x = torch.randint(0, 60, (8, 200))
y = torch.randint(0, 2, (8,))
