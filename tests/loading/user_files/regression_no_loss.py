# ruff: noqa
# expect: model Sequential
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8] float32
# expect: loss mse is mse (inferred from output and target)
# expect: assumed no loss was found: mse was chosen (output [8, 1], target [8] float32: numbers)
# expect: assumed at run the target [8] was reshaped to the output's [8, 1]
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.Linear(4, 1))
x = torch.randn(8, 4)
y = torch.randn(8)
