# ruff: noqa
# expect: model GNN
# expect: batches 1
# expect: argument Graph
# expect: loss loss_fn is other (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn


class Graph:
    def __init__(self):
        self.x = torch.randn(6, 3)
        self.edge_index = torch.randint(0, 6, (2, 10))
        self.y = torch.tensor([1])

    def to(self, device):
        return self


class GNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 4)
        self.o = nn.Linear(4, 2)

    def forward(self, data):
        h = self.l(data.x).relu()
        s = torch.zeros_like(h).index_add(0, data.edge_index[1], h[data.edge_index[0]])
        return self.o(s.mean(0, keepdim=True))


model = GNN()
batch = Graph()


def loss_fn(output, batch):
    return F.cross_entropy(output, batch.y)
