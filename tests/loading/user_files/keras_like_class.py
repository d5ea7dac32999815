# ruff: noqa
# expect: model Model
# expect: batches 3
# expect: argument [32, 7] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed `Model` was built with `input_dim` = `input_dim` of the file
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [32, 7], shaped for `l`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self, input_dim, hidden=8):
        super().__init__()
        self.l = nn.Linear(input_dim, hidden)

    def forward(self, x):
        return self.l(x)


input_dim = 7
