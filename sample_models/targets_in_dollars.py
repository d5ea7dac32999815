"""House prices as they stand in the table, up to a million dollars; the squared error starts at 1e11."""
# gradcheck-expect: GC607

import torch
from torch import nn


class HousePrices(nn.Module):
    def __init__(self, features: int = 13) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x):
        return self.net(x)


def build_model():
    return HousePrices()


x = torch.randn(64, 13)
y = 250_000 + 750_000 * torch.rand(64, 1)
loss_fn = nn.MSELoss()
