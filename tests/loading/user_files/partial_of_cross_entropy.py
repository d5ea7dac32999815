# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: target [5] int64
# expect: loss loss_fn is cross_entropy, ignoring 2 (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn

from functools import partial

model = nn.Linear(4, 3)
x = torch.randn(5, 4)
y = torch.tensor([0, 1, 2, 0, 1])
loss_fn = partial(F.cross_entropy, ignore_index=2)
