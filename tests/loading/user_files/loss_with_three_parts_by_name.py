# ruff: noqa
# expect: model Net
# expect: batches 1
# expect: argument [5, 4] float32
# expect: target [5, 1] float32
# expect: loss loss_fn is other (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 2)

    def forward(self, x):
        return {"mean": self.l(x)[:, :1], "log_var": self.l(x)[:, 1:]}


model = Net()
x = torch.randn(5, 4)
y = torch.randn(5, 1)


def loss_fn(mean, log_var, target):
    return ((mean - target) ** 2 * (-log_var).exp() + log_var).mean()
