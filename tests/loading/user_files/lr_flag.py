# ruff: noqa
# settings: {"lr": 0.5}
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: optimizer AdamW lr=0.5 weight_decay=0.1 eps=1e-08 decoupled_weight_decay=1 beta1=0.9 beta2=0.999 (found: optimizer, --lr)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
x = torch.randn(5, 4)
