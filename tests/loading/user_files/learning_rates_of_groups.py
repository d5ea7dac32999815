# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: optimizer SGD lr=0.1 momentum=0.9 nesterov=1 (found: optimizer)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
# expect: assumed the optimizer has learning rates 0.01, 0.1: ratios are for 0.1
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)
x = torch.randn(5, 4)
optimizer = torch.optim.SGD(
    [{"params": [model.weight], "lr": 0.1}, {"params": [model.bias], "lr": 0.01}],
    lr=1.0,
    nesterov=True,
    momentum=0.9,
)
