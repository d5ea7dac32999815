"""Thirty graph convolutions on one small graph: averaging over neighbours makes all nodes look alike."""
# gradcheck-expect: GC203

import torch
from torch import Tensor, nn

NODES = 40


def normalised_adjacency(nodes: int = NODES, degree: int = 6) -> Tensor:
    """Return D^-1/2 (A + I) D^-1/2 [N, N] of a ring in which each node knows its next `degree` neighbours."""
    a = torch.eye(nodes)
    for k in range(1, degree + 1):
        a += torch.roll(torch.eye(nodes), k, dims=1) + torch.roll(torch.eye(nodes), -k, dims=1)
    d = a.sum(dim=1).rsqrt()
    return d[:, None] * a * d[None, :]


class GCN(nn.Module):
    def __init__(self, features: int = 16, hidden: int = 32, classes: int = 4, depth: int = 30) -> None:
        super().__init__()
        self.register_buffer("adjacency", normalised_adjacency())
        self.inp = nn.Linear(features, hidden)
        self.convs = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(depth))
        self.out = nn.Linear(hidden, classes)
        for conv in self.convs:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.inp(x))
        for conv in self.convs:
            x = torch.relu(conv(self.adjacency @ x))
        return self.out(x)


model = GCN()
inputs = torch.randn(NODES, 16)
targets = inputs[:, :4].argmax(dim=1)
loss_fn = nn.CrossEntropyLoss()
