# ruff: noqa
# expect: model Sequential
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8] int64
# expect: loss nll is nll (inferred from output and target)
# expect: assumed no loss was found: nll was chosen (output [8, 3], target [8] int64: log-probabilities of classes)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.Linear(4, 3), nn.LogSoftmax(dim=1))
x = torch.randn(8, 4)
y = torch.randint(0, 3, (8,))
