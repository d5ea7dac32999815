# ruff: noqa
# expect: model Sequential
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8] int64
# expect: loss loss is nll (found: loss)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(-1))
loss = nn.NLLLoss()
data = torch.randn(8, 4)
target = torch.randint(0, 3, (8,))
