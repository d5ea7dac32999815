# ruff: noqa
# expect: model Net
# expect: batches 1
# expect: argument [6, 3] float32
# expect: argument [6, 5] float32
# expect: target [6, 4] float32
# expect: loss loss_fn is l1 (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 4)
        self.b = nn.Linear(5, 4)

    def forward(self, x1, x2):
        return self.a(x1) * self.b(x2)


model = Net()
batch = ((torch.randn(6, 3), torch.randn(6, 5)), torch.randn(6, 4))
loss_fn = nn.L1Loss()
