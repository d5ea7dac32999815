# ruff: noqa
# expect: model N
# expect: batches 3
# expect: keyword pixels [32, 6] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `pixels` is made up, random normal numbers of shape [32, 6], shaped for `l`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class N(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(6, 3)

    def forward(self, *, pixels, text=None):
        return self.l(pixels)


model = N()
