"""Two linear layers in a row because a ReLU was forgotten: together they can do no more than one."""
# gradcheck-expect: GC406

import torch
from torch import nn

model = nn.Sequential(
    nn.Linear(24, 64),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 3),
)
loss_fn = nn.CrossEntropyLoss()
x = torch.randn(64, 24)
y = torch.randint(0, 3, (64,))
