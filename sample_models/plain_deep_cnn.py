"""A plain stack of 24 convolutions with ReLU and default initialisation, no norm, no skip: each loses gradient."""
# gradcheck-expect: GC101
# gradcheck-expect-blame: conv

import torch
import torch.nn.functional as F
from torch import nn


class PlainCNN(nn.Module):
    def __init__(self, channels: int = 16, depth: int = 24, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth - 1))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for i, conv in enumerate(self.convs):
            x = F.relu(conv(x))
            if i in (7, 15):
                x = F.max_pool2d(x, 2)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.fc(x)


model = PlainCNN()
images = torch.randn(8, 3, 16, 16)
labels = torch.randint(0, 10, (8,))
batch = (images, labels)
loss_fn = F.cross_entropy
