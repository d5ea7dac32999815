# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8] int64
# expect: loss criterion is cross_entropy, ignoring 0 (found: criterion)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)
x = torch.randn(8, 4)
y = torch.randint(0, 3, (8,))
criterion = nn.CrossEntropyLoss(label_smoothing=0.1, ignore_index=0, weight=torch.ones(3))
