"""The plain stack's healthy sister: the same 24 convolutions in pre-activation residual blocks with BatchNorm."""
# gradcheck-expect: clean

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        return x + y


class ResidualCNN(nn.Module):
    def __init__(self, channels: int = 16, depth: int = 24, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(channels) for _ in range(depth // 2)))
        self.bn = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = F.max_pool2d(self.stem(x), 2)
        x = F.relu(self.bn(self.blocks(x)))
        return self.fc(x.mean(dim=(2, 3)))


model = ResidualCNN()
images = torch.randn(8, 3, 16, 16)
labels = torch.randint(0, 10, (8,))
batch = (images, labels)
loss_fn = F.cross_entropy
