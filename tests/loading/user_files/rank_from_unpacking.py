# ruff: noqa
# expect: model Net
# expect: batches 3
# expect: argument [32, 3, 4, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [32, 3, 4, 4], shaped for `p`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Linear(48, 8)
        self.o = nn.Linear(8, 2)

    def forward(self, x):
        b, c, h, w = x.shape
        x = x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(b, -1, c * 16)
        return self.o(self.p(x).mean(1))
