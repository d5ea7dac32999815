# ruff: noqa
# expect: model RecursiveScriptModule
# expect: batches 1
# expect: argument [4, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

model = torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.ReLU()))
x = torch.randn(4, 4)
