# ruff: noqa
# expect: model Sequential
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8] int64
# expect: loss bce is bce (inferred from output and target)
# expect: assumed no loss was found: bce was chosen (output [8, 1], target [8] int64: targets 0 and 1, outputs within [0, 1])
# expect: assumed at run the target [8] was reshaped to the output's [8, 1]
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
x = torch.randn(8, 4)
y = torch.randint(0, 2, (8,))
