# ruff: noqa
# expect: model Net
# expect: batches 1
# expect: keyword x [5, 4] float32
# expect: target [5] int64
# expect: loss criterion is cross_entropy (found: criterion)
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 3)

    def forward(self, x, labels=None):
        return self.l(x)


model = Net()
batch = {"x": torch.randn(5, 4), "labels": torch.tensor([0, 1, 2, 0, 1])}
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
