# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [4, 4] float32
# expect: target [4] int64
# expect: loss criterion is cross_entropy (found: criterion)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)
x = torch.randn(4, 4)
y = [0, 1, 2, 1]
criterion = nn.CrossEntropyLoss()
