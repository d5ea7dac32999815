# ruff: noqa
# expect: model Conv2d
# expect: batches 1
# expect: argument [2, 3, 8, 8] float32
# expect: target [2, 8, 8] int64
# expect: loss cross_entropy is cross_entropy (inferred from output and target)
# expect: assumed no loss was found: cross_entropy was chosen (output [2, 5, 8, 8], target [2, 8, 8] int64: classes)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Conv2d(3, 5, 3, padding=1)
x = torch.randn(2, 3, 8, 8)
y = torch.randint(0, 5, (2, 8, 8))
