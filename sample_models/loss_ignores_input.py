"""LayerNorm over a single feature turns every input into the same constant: the loss does not depend on the data."""
# gradcheck-expect: GC405

import torch
from torch import nn


class CurveFit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(1)
        self.fc1 = nn.Linear(1, 32)
        self.fc2 = nn.Linear(32, 32)
        self.fc3 = nn.Linear(32, 1)

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        t = self.norm(t)
        return self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(t)))))


model = CurveFit()
x = torch.linspace(-3, 3, 64).unsqueeze(1)
y = torch.sin(x)
loss_fn = nn.MSELoss()
