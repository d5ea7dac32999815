# ruff: noqa
# expect: model ResNetish
# expect: batches 3
# expect: argument [32, 8] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [32, 8], shaped for `b.0.l`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.l = nn.Linear(n, n)

    def forward(self, x):
        return x + self.l(x)


def make_layers(k):
    return nn.Sequential(*[Block(8) for _ in range(k)])


class ResNetish(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = make_layers(3)

    def forward(self, x):
        return self.b(x)
