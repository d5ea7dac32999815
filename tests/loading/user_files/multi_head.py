# ruff: noqa
# expect: model Net
# expect: batches 3
# expect: argument [8, 20, 8] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [8, 20, 8], shaped for `a`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.MultiheadAttention(8, 2, batch_first=True)
        self.o = nn.Linear(8, 2)

    def forward(self, x):
        return self.o(self.a(x, x, x)[0])
