# ruff: noqa
# expect: model Net
# expect: batches 1
# expect: argument [5, 4] float32
# expect: target [5, 3] float32
# expect: loss energy is other (found: model.energy)
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 3)

    def forward(self, x):
        return self.l(x)

    def energy(self, output, target):
        return (output - target).square().mean() + self.l.weight.square().sum()


model = Net()
x = torch.randn(5, 4)
y = torch.randn(5, 3)
loss_fn = model.energy
