"""Ten convolutions in Inception-like branches; the fourth, on the trunk, starts a thousand times too small."""
# gradcheck-expect: GC301

import torch
from torch import nn


def conv(cin: int, cout: int, k: int) -> nn.Sequential:
    layer = nn.Conv2d(cin, cout, k, padding=k // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return nn.Sequential(layer, nn.ReLU())


class Inception(nn.Module):
    def __init__(self, cin: int) -> None:
        super().__init__()
        self.one = conv(cin, 8, 1)
        self.three = nn.Sequential(conv(cin, 8, 1), conv(8, 8, 3))
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv(cin, 8, 1))

    def forward(self, x):
        return torch.cat([self.one(x), self.three(x), self.pool(x)], dim=1)


class SmallInception(nn.Module):
    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.conv1 = conv(3, 16, 3)
        self.conv2 = conv(16, 16, 3)
        self.conv3 = conv(16, 16, 3)
        self.conv4 = conv(16, 16, 3)
        nn.init.normal_(self.conv4[0].weight, std=1e-4)
        self.mixed1 = Inception(16)
        self.mixed2 = nn.Sequential(conv(24, 16, 1), conv(16, 16, 3))
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        x = self.conv4(self.conv3(self.conv2(self.conv1(x))))
        x = self.mixed2(self.mixed1(x))
        return self.head(x.mean((2, 3)))


def get_model() -> nn.Module:
    return SmallInception()


loss_fn = nn.CrossEntropyLoss()
example_inputs = torch.randn(16, 3, 12, 12)
targets = torch.arange(16) % 5
