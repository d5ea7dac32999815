# ruff: noqa
# expect: model G
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8, 1] float32
# expect: loss loss_fn is other (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn


class G(nn.Module):
    def __init__(self):
        super().__init__()
        self.m = nn.Linear(4, 1)

    def forward(self, x):
        return torch.distributions.Normal(self.m(x), 1.0)


model = G()
x = torch.randn(8, 4)
y = torch.randn(8, 1)


def loss_fn(dist, y):
    return -dist.log_prob(y).mean()
