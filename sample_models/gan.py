"""A GAN with two losses in a dictionary; each of them trains its own half only, as it must; healthy."""
# gradcheck-expect: clean
# gradcheck-expect-not: GC401,GC405

import torch
import torch.nn.functional as F
from torch import nn

LATENT = 16


class Generator(nn.Sequential):
    def __init__(self, features: int = 20) -> None:
        super().__init__(
            nn.Linear(LATENT, 64),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Linear(64, features),
            nn.Tanh(),
        )


class Discriminator(nn.Sequential):
    def __init__(self, features: int = 20) -> None:
        super().__init__(
            nn.Linear(features, 64),
            nn.LeakyReLU(0.2),
            nn.Linear(64, 64),
            nn.LeakyReLU(0.2),
            nn.Linear(64, 1),
        )


class GAN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.generator = Generator()
        self.discriminator = Discriminator()

    def forward(self, z):
        return self.generator(z)


def discriminator_loss(gan, batch):
    real = batch
    fake = gan.generator(torch.randn(len(real), LATENT)).detach()
    on_real, on_fake = gan.discriminator(real), gan.discriminator(fake)
    return F.binary_cross_entropy_with_logits(on_real, torch.ones_like(on_real)) + F.binary_cross_entropy_with_logits(
        on_fake, torch.zeros_like(on_fake)
    )


def generator_loss(gan, batch):
    on_fake = gan.discriminator(gan.generator(torch.randn(len(batch), LATENT)))
    return F.binary_cross_entropy_with_logits(on_fake, torch.ones_like(on_fake))


model = GAN()
losses = {"discriminator": discriminator_loss, "generator": generator_loss}
batch = torch.tanh(torch.randn(32, 20))
