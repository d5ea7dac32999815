"""A residual MLP for regression that uses only functional activations and norms, trained with Huber loss; healthy."""
# gradcheck-expect: clean

import torch
import torch.nn.functional as F
from torch import nn


class ResMLP(nn.Module):
    def __init__(self, features: int = 18, width: int = 64, depth: int = 8) -> None:
        super().__init__()
        self.width = width
        self.embed = nn.Linear(features, width)
        self.up = nn.ModuleList([nn.Linear(width, 2 * width) for _ in range(depth)])
        self.down = nn.ModuleList([nn.Linear(2 * width, width) for _ in range(depth)])
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        x = self.embed(x)
        for up, down in zip(self.up, self.down, strict=True):
            h = F.layer_norm(x, (self.width,))
            x = x + down(F.silu(up(h)))
        return self.head(F.layer_norm(x, (self.width,)))


def get_model(depth: int = 8):
    return ResMLP(depth=depth)


def get_batch():
    x = torch.randn(64, 18)
    y = x[:, :1] * x[:, 1:2] + 0.1 * torch.randn(64, 1)
    return x, y


loss_fn = nn.HuberLoss()
