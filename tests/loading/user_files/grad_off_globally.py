# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [4, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed the file switches gradients off for good; they were on for the measurement
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

torch.set_grad_enabled(False)
model = nn.Linear(4, 3)
x = torch.randn(4, 4)
