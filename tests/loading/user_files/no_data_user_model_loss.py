# ruff: noqa
# expect: model Linear
# expect: batches 3
# expect: argument [32, 4] float32
# expect: target [32] int64
# expect: loss loss_fn is other (found: loss_fn)
# expect: assumed no data was found: `input` is made up, random normal numbers of shape [32, 4]
# expect: assumed no target was found: targets are made up, random classes
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)


def loss_fn(model, batch):
    x, y = batch
    return F.cross_entropy(model(x), y)
