# ruff: noqa
# expect: model Sequential
# expect: batches 3
# expect: argument [8, 4, 16, 16] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `input` is made up, random normal numbers of shape [8, 4, 16, 16], shaped for `0`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 1))
