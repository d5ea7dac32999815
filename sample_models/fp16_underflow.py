"""A denoiser in pure float16 without loss scaling: a mean over 16,384 pixels, weighted 0.01, underflows backward."""
# gradcheck-expect: GC503

import torch
import torch.nn.functional as F
from torch import nn


class Denoiser(nn.Module):
    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 1, 3, padding=1),
        )

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        return noisy - self.body(noisy)


def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return 0.01 * F.mse_loss(output, target)


model = Denoiser().half()
clean = torch.rand(4, 1, 64, 64)
x = (clean + 0.05 * torch.randn_like(clean)).half()
y = clean.half()
