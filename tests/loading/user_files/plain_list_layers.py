# ruff: noqa
# expect: model Net
# expect: batches 3
# expect: argument [32, 8] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed held in plain Python containers, so not in model.parameters(): `layers[0]`, `layers[1]`, `layers[2]`
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [32, 8], shaped for `layers[0]`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(8, 8) for _ in range(3)]
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        for l in self.layers:
            x = torch.relu(l(x))
        return self.head(x)
