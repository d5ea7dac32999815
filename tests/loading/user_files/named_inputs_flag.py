# ruff: noqa
# settings: {"input": ["b=5,2", "a=5,4"]}
# expect: model Net
# expect: batches 1
# expect: keyword b [5, 2] float32
# expect: keyword a [5, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.x = nn.Linear(4, 3)
        self.y = nn.Linear(2, 3)

    def forward(self, a, b):
        return self.x(a) + self.y(b)


model = Net()
