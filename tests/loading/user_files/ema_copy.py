# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [5, 6] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

import copy

model = nn.Linear(6, 3)
ema_model = copy.deepcopy(model)
x = torch.randn(5, 6)
