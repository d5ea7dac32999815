# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: target [5, 1] float32
# expect: loss loss_fn is other (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 1)
x = torch.randn(5, 4)
y = torch.randn(5, 1)


def loss_fn(y_true, y_pred):
    return ((y_true - y_pred) ** 2).mean()
