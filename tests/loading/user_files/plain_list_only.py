# ruff: noqa
# expect: model Net
# expect: batches 1
# expect: argument [4, 8] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed held in plain Python containers, so not in model.parameters(): `layers[0]`, `layers[1]`, `layers[2]`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(8, 8) for _ in range(3)]

    def forward(self, x):
        for l in self.layers:
            x = torch.relu(l(x))
        return x


x = torch.randn(4, 8)
