# ruff: noqa
# expect: model M
# expect: batches 3
# expect: argument [32, 7] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [32, 7]
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(7, 3))
        self.b = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return x @ self.w + self.b
