# ruff: noqa
# settings: {"loss": "mine"}
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: target [5, 3] float32
# expect: loss mine is other (--loss mine)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)
x = torch.randn(5, 4)
y = torch.randn(5, 3)
loss_fn = nn.MSELoss()


def mine(output, target):
    return (output - target).abs().mean()
