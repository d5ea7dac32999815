# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [4, 4] float32
# expect: target [4, 3] float32
# expect: loss criterion is mse (found: criterion)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)
x = torch.randn(4, 4, requires_grad=True)
y = torch.randn(4, 3)
criterion = nn.MSELoss()
