# ruff: noqa
# expect: model Sequential
# expect: batches 1
# expect: argument [6, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(3))
x = torch.randn(6, 4)
