# ruff: noqa
# expect: model Two
# expect: batches 3
# expect: argument [32, 10] float32
# expect: argument [32, 10] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `user` is made up, random normal numbers of shape [32, 10], shaped for `net.0`
# expect: assumed no data was found: `item` is made up, random normal numbers of shape [32, 10], shaped for `net.0`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, user, item):
        return self.net(torch.cat([user, item], dim=-1))
