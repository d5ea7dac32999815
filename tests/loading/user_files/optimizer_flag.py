# ruff: noqa
# settings: {"optimizer": "sgd", "lr": 0.5}
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: optimizer SGD lr=0.5 (--optimizer)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.8, 0.9))
x = torch.randn(5, 4)
