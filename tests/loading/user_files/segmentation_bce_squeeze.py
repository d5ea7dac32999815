# ruff: noqa
# expect: model Conv2d
# expect: batches 1
# expect: argument [2, 3, 8, 8] float32
# expect: target [2, 8, 8] float32
# expect: loss criterion is bce_logits (found: criterion)
# expect: assumed at run the target [2, 8, 8] was reshaped to the output's [2, 1, 8, 8]
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Conv2d(3, 1, 3, padding=1)
x = torch.randn(2, 3, 8, 8)
y = torch.randint(0, 2, (2, 8, 8)).float()
criterion = nn.BCEWithLogitsLoss()
