# ruff: noqa
# expect: model GCN
# expect: batches 1
# expect: keyword x [10, 16] float32
# expect: keyword adj [10, 10] float32
# expect: target [10] int64
# expect: loss criterion is cross_entropy (found: criterion)
import torch
import torch.nn.functional as F
from torch import nn


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(16, 8)
        self.l2 = nn.Linear(8, 4)

    def forward(self, x, adj):
        return self.l2(adj @ F.relu(self.l1(adj @ x)))


x = torch.randn(10, 16)
adj = torch.eye(10)
labels = torch.randint(0, 4, (10,))
criterion = nn.CrossEntropyLoss()
