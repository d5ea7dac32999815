# ruff: noqa
# expect: model E
# expect: batches 1
# expect: argument [8, 4] float32
# expect: argument [8] int64
# expect: target [8] int64
# expect: loss the model's output is model (found: the model's output)
import torch
import torch.nn.functional as F
from torch import nn


class E(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 3)

    def forward(self, x, y):
        return F.cross_entropy(self.l(x), y)


model = E()
batch = (torch.randn(8, 4), torch.randint(0, 3, (8,)))
