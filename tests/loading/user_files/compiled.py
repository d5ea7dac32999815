# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [4, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

net = nn.Linear(4, 3)
compiled = torch.compile(net)
x = torch.randn(4, 4)
