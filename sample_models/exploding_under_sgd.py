"""A classifier whose 12 ReLU layers start a little too large, trained with plain SGD: the first step throws it far away."""
# gradcheck-expect: GC102
# gradcheck-expect-not: GC101

from itertools import pairwise

import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self, features: int = 32, width: int = 128, classes: int = 4, depth: int = 20) -> None:
        super().__init__()
        sizes = [features] + [width] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.out = nn.Linear(width, classes)
        for layer in self.hidden:
            nn.init.normal_(layer.weight, std=0.18)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.out(x)


model = Classifier()
x = torch.randn(128, 32)
y = x[:, :4].argmax(dim=1)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
