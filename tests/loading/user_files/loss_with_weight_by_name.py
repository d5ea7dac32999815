# ruff: noqa
# expect: model N
# expect: batches 1
# expect: keyword x [5, 6] float32
# expect: target [5] int64
# expect: loss loss_fn is other (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn


class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(6, 3)

    def forward(self, x):
        return self.l(x)


model = N()
batch = {"x": torch.randn(5, 6), "y": torch.randint(0, 3, (5,)), "weight": torch.rand(5)}


def loss_fn(output, y, weight):
    return (F.cross_entropy(output, y, reduction="none") * weight).mean()
