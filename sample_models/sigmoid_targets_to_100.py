"""A score from 0 to 100 predicted by a network that ends in a sigmoid: no weights can ever output more than 1."""
# gradcheck-expect: GC606

import torch
from torch import nn


class ScoreModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(12, 48)
        self.fc2 = nn.Linear(48, 48)
        self.fc3 = nn.Linear(48, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return torch.sigmoid(self.fc3(x))


model = ScoreModel()
criterion = nn.MSELoss()
x = torch.randn(64, 12)
y = 100 * torch.rand(64, 1)
