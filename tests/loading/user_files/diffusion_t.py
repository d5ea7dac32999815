# ruff: noqa
# expect: model D
# expect: batches 3
# expect: argument [8, 3, 32, 32] float32
# expect: argument [8] int64
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [8, 3, 32, 32], shaped for `c`
# expect: assumed no data was found: `t` is made up, random integers below 1000 of shape [8]
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class D(nn.Module):
    def __init__(self):
        super().__init__()
        self.temb = nn.Embedding(1000, 8)
        self.c = nn.Conv2d(3, 8, 3, padding=1)
        self.o = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x, t):
        return self.o(F.silu(self.c(x) + self.temb(t)[:, :, None, None]))
