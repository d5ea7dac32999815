# ruff: noqa
# expect: model C
# expect: batches 3
# expect: argument [4, 1, 16, 32, 32] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [4, 1, 16, 32, 32], shaped for `c`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class C(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv3d(1, 4, 3, padding=1)
        self.f = nn.Linear(4 * 16 * 32 * 32, 2)

    def forward(self, x):
        return self.f(self.c(x).flatten(1))
