# ruff: noqa
# expect: model Net
# expect: batches 1
# expect: argument tuple
# expect: loss projection is projection (random projection of the output)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 3)

    def forward(self, batch):
        x, mask = batch
        return self.l(x) * mask


model = Net()
batch = (torch.randn(5, 4), torch.ones(5, 1))
