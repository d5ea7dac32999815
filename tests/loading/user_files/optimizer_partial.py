# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: optimizer SGD lr=0.2 momentum=0.9 (found: optimizer)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

from functools import partial

model = nn.Linear(4, 3)
x = torch.randn(5, 4)
optimizer = partial(torch.optim.SGD, lr=0.2, momentum=0.9)
