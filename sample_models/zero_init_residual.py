"""Residual branches ending in a BatchNorm whose weight starts at zero: the identity at step 0; healthy."""
# gradcheck-expect: clean
# gradcheck-expect-not: GC101,GC401

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Bottleneck(nn.Module):
    def __init__(self, channels: int, mid: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, mid, 1, bias=False),
            nn.BatchNorm2d(mid),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid, mid, 3, padding=1, bias=False),
            nn.BatchNorm2d(mid),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        nn.init.zeros_(self.branch[-1].weight)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(x + self.branch(x))


class Blobs(Dataset):
    """Images of noise with one bright corner; the corner is the class."""

    def __len__(self):
        return 64

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        image = torch.randn(3, 16, 16, generator=generator)
        label = index % 4
        row, column = divmod(label, 2)
        image[:, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] += 1.0
        return image, label


def build_model() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(inplace=True),
        *[Bottleneck(24, 8) for _ in range(6)],
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 4),
    )


dataloader = DataLoader(Blobs(), batch_size=16, shuffle=True)
criterion = nn.CrossEntropyLoss()
