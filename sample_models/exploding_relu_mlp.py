"""Sixteen ReLU layers whose weights start at std 0.2: twice what 200 inputs allow, and the excess multiplies up."""
# gradcheck-expect: GC102
# gradcheck-expect-not: GC101

import torch
import torch.nn as nn


class MLP(nn.Module):
    def __init__(self, width=200, depth=16):
        super().__init__()
        blocks = []
        size = 32
        for _ in range(depth):
            linear = nn.Linear(size, width)
            nn.init.normal_(linear.weight, std=0.2)
            blocks.append(nn.Sequential(linear, nn.ReLU()))
            size = width
        self.blocks = nn.Sequential(*blocks)
        self.out = nn.Linear(size, 1)

    def forward(self, x):
        return self.out(self.blocks(x))


model = MLP()
x = torch.randn(64, 32)
y = torch.randn(64, 1)
loss_fn = nn.MSELoss()
