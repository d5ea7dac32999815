# ruff: noqa
# expect: model Net
# expect: batches 3
# expect: argument [8, 1, 128] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [8, 1, 128], shaped for `c`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv1d(1, 4, 80, stride=16)
        self.o = nn.Linear(4, 2)

    def forward(self, x):
        return self.o(F.relu(self.c(x)).mean(-1))
