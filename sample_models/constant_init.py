"""Hidden layers whose weights all start at one number: every unit of a layer computes and learns the same thing."""
# gradcheck-expect: GC302

import torch
from torch import nn


def constant(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 0.05)
        nn.init.constant_(module.bias, 0.0)


model = nn.Sequential(
    nn.Linear(16, 32),
    nn.ReLU(),
    nn.Linear(32, 32),
    nn.ReLU(),
    nn.Linear(32, 3),
)
model.apply(constant)
loss_fn = nn.CrossEntropyLoss()
x = torch.randn(64, 16)
y = torch.randint(0, 3, (64,))
