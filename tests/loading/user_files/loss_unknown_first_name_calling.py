# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8] int64
# expect: loss loss_fn is other (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn

net = nn.Linear(4, 3)
batch = (torch.randn(8, 4), torch.randint(0, 3, (8,)))


def loss_fn(m, b):
    return F.cross_entropy(m(b[0]), b[1])
