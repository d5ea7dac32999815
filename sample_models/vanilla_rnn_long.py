"""nn.RNN over 200 steps, read at the last one: what the early steps should have taught is gone after a few dozen."""
# gradcheck-expect: GC103

import torch
from torch import nn


class LastStepRNN(nn.Module):
    def __init__(self, features: int = 8, hidden: int = 32, classes: int = 4) -> None:
        super().__init__()
        self.rnn = nn.RNN(features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out, _ = self.rnn(x)
        return self.head(out[:, -1])


def get_batch(size: int = 32, steps: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences whose class is shown in the first twenty steps; then there is only noise."""
    y = torch.randint(0, 4, (size,))
    x = torch.randn(size, steps, 8)
    x[torch.arange(size), :20, y] += 3.0
    return x, y


model = LastStepRNN()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
