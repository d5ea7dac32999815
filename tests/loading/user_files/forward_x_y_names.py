# ruff: noqa
# expect: model E
# expect: batches 1
# expect: keyword x [8, 4] float32
# expect: keyword y [8] int64
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
x = torch.randn(8, 4)
y = torch.randint(0, 3, (8,))
