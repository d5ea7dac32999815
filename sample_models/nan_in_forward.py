"""A hand-written normalisation divides by the standard deviation of a constant channel: 0 / 0 half way."""
# gradcheck-expect: GC501

import torch
from torch import nn


class Standardise(nn.Module):
    def forward(self, x):
        return (x - x.mean(dim=0)) / x.std(dim=0)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(12, 32)
        self.act = nn.ReLU()
        self.norm = Standardise()
        self.mid = nn.Linear(32, 32)
        self.out = nn.Linear(32, 1)
        nn.init.zeros_(self.inp.weight[5])

    def forward(self, x):
        x = self.norm(self.act(self.inp(x)))
        return self.out(torch.tanh(self.mid(x)))


model = Regressor()
loss_fn = nn.MSELoss()
x, y = torch.randn(64, 12), torch.randn(64, 1)
