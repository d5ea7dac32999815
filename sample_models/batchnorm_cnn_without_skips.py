"""A plain stack of 80 convolutions with BatchNorm and no skips: each norm steepens the gradient a little on its way back."""
# gradcheck-expect: GC102

import torch
import torch.nn.functional as F
from torch import nn


class ConvNormReLU(nn.Sequential):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU())


class VeryDeepCNN(nn.Module):
    def __init__(self, channels: int = 8, depth: int = 80, classes: int = 4) -> None:
        super().__init__()
        self.stem = ConvNormReLU(3, channels)
        self.layers = nn.Sequential(*[ConvNormReLU(channels, channels) for _ in range(depth - 1)])
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.layers(self.stem(x)).mean((2, 3)))


def get_batch(size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of noise with one bright corner, which is the class."""
    labels = torch.randint(0, 4, (size,))
    images = torch.randn(size, 3, 8, 8)
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[:, row : row + 4, column : column + 4] += 2.0
    return images, labels


model = VeryDeepCNN()
loss_fn = F.cross_entropy
