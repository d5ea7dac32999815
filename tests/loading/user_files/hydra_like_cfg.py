# ruff: noqa
# expect: model Model
# expect: batches 3
# expect: argument [32, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed `Model` was built with `cfg` = `cfg` of the file
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [32, 4], shaped for `l`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

from types import SimpleNamespace

cfg = SimpleNamespace(width=5)


class Model(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.l = nn.Linear(4, cfg.width)

    def forward(self, x):
        return self.l(x)
