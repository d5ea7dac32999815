# ruff: noqa
# expect: model S
# expect: batches 1
# expect: keyword a [8, 10] float32
# expect: keyword p [8, 10] float32
# expect: keyword n [8, 10] float32
# expect: loss loss_fn is other (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn


class S(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, a, p, n):
        return self.e(a), self.e(p), self.e(n)


model = S()
a = torch.randn(8, 10)
p = torch.randn(8, 10)
n = torch.randn(8, 10)
loss_fn = nn.TripletMarginLoss()
