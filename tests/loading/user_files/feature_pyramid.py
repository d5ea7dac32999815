# ruff: noqa
# expect: model P
# expect: batches 3
# expect: argument [8, 3, 32, 32] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [8, 3, 32, 32], shaped for `a`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class P(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, stride=2)
        self.b = nn.Conv2d(4, 8, 3, stride=2)

    def forward(self, x):
        f = self.a(x)
        return [f, self.b(f)]
