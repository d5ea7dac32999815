"""Pairwise distances with `torch.where(d2 > 0, d2.sqrt(), 0)`: guarded forward, but 0 / 0 on the diagonal backward."""
# gradcheck-expect: GC502
# gradcheck-expect-not: GC501

import torch
from torch import nn


class PairwiseDistance(nn.Module):
    """Distances [N, N] between all rows of z [N, D]."""

    def forward(self, z):
        d2 = (z[:, None] - z[None, :]).pow(2).sum(dim=-1)
        return torch.where(d2 > 0, torch.sqrt(d2), torch.zeros_like(d2))


class Isometry(nn.Module):
    """Embed points in two dimensions so that their distances stay as they were."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 2))
        self.distance = PairwiseDistance()

    def forward(self, points):
        return self.distance(self.embed(points))


model = Isometry()
criterion = nn.MSELoss()
x = torch.randn(24, 8)
y = torch.cdist(x, x)
