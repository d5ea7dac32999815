# ruff: noqa
# settings: {"target": "dotted_attribute.py:system.backbone"}
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class System(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(4, 3)
        self.other = nn.Linear(3, 1)

    def forward(self, x):
        return self.other(self.backbone(x))


system = System()
x = torch.randn(5, 4)
