# ruff: noqa
# expect: model N
# expect: batches 1
# expect: argument [4, 6] float32
# expect: argument [4, 6] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(6, 3)

    def forward(self, *xs):
        return self.l(sum(xs))


model = N()
inputs = (torch.randn(4, 6), torch.randn(4, 6))
