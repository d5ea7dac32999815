# ruff: noqa
# expect: model Net
# expect: batches 1
# expect: argument [5, 4] float32
# expect: argument [5, 2] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)
        self.b = nn.Linear(2, 3)

    def forward(self, x, z):
        return self.a(x) + self.b(z)


model = Net()
example_inputs = (torch.randn(5, 4), torch.randn(5, 2))
