# ruff: noqa
# expect: model U
# expect: batches 3
# expect: argument [8, 3, 32, 32] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [8, 3, 32, 32], shaped for `c.0`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class U(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.ModuleList([nn.Conv2d(3 if i == 0 else 8, 8, 3, stride=2, padding=1) for i in range(5)])
        self.u = nn.ModuleList([nn.ConvTranspose2d(8, 8, 2, 2) for _ in range(5)])
        self.o = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        for c in self.c:
            x = F.relu(c(x))
        for u in self.u:
            x = F.relu(u(x))
        return self.o(x)
