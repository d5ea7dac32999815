# ruff: noqa
# expect: model R
# expect: batches 3
# expect: argument [32, 14] float32
# expect: argument [32, 3] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `input` is made up, random normal numbers of shape [32, 14], shaped for `i2o`
# expect: assumed no data was found: `hidden` is made up, random normal numbers of shape [32, 3], shaped for `i2o`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class R(nn.Module):
    def __init__(self):
        super().__init__()
        self.hs = 12
        self.i2h = nn.Linear(5 + 12, 12)
        self.i2o = nn.Linear(5 + 12, 3)

    def forward(self, input, hidden):
        c = torch.cat((input, hidden), 1)
        return self.i2o(c), self.i2h(c)

    def init_hidden(self):
        return torch.zeros(1, 12)
