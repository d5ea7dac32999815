"""A deep tanh autoencoder whose weights all start at std 0.01: signal and gradient die on every layer, tanh or not."""
# gradcheck-expect: GC101
# gradcheck-expect-blame: linear
# gradcheck-expect-not: GC202

import torch
from torch import nn


def init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, mean=0.0, std=0.01)
        nn.init.zeros_(module.bias)


class DeepAutoencoder(nn.Module):
    def __init__(self, features: int = 30, width: int = 100, depth: int = 10) -> None:
        super().__init__()
        self.first = nn.Linear(features, width)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(depth - 1)])
        self.last = nn.Linear(width, features)
        self.apply(init_weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.first(x))
        for layer in self.hidden:
            h = torch.tanh(layer(h))
        return self.last(h)


def create_model() -> DeepAutoencoder:
    return DeepAutoencoder()


def get_batch() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(64, 30)
    return x, x


loss_fn = nn.MSELoss()
