# ruff: noqa
# expect: model R
# expect: batches 3
# expect: argument [8, 3, 64, 64] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [8, 3, 64, 64], shaped for `conv1`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class R(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 7, 2, 3)
        self.bn = nn.BatchNorm2d(16)
        self.fc = nn.Linear(16, 1000)

    def forward(self, x):
        return self.fc(F.relu(self.bn(self.conv1(x))).mean((2, 3)))
