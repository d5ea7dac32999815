# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8] float32
# expect: loss criterion is mse (found: criterion)
# expect: assumed at run the loss compares an output of shape [8, 1] with a target of shape [8], which torch broadcasts to [8, 8]: every output meets every target
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 1)
x = torch.randn(8, 4)
y = torch.randn(8)
criterion = nn.MSELoss()
