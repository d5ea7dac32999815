# ruff: noqa
# expect: model Net
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8] int64
# expect: loss criterion is cross_entropy (found: model.criterion)
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 3)
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, x):
        return self.l(x)


model = Net()
x = torch.randn(8, 4)
y = torch.randint(0, 3, (8,))
