# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8, 1] float32
# expect: loss loss_fn is mse (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 1)
x = torch.randn(8, 4)
y = torch.randn(8, 1)
loss_fn = nn.MSELoss
