# ruff: noqa
# expect: model Net
# expect: batches 3
# expect: argument [32, 16, 3] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [32, 16, 3]
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 5)
        self.o = nn.Linear(5, 2)

    def forward(self, x):
        h = x.new_zeros(x.size(1), 5)
        for t in range(x.size(0)):
            h = self.cell(x[t], h)
        return self.o(h)
