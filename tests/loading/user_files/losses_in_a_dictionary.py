# ruff: noqa
# expect: model Gan
# expect: batches 1
# expect: argument [6, 2] float32
# expect: loss generator is other (found: losses['generator'])
# expect: loss discriminator is other (found: losses['discriminator'])
import torch
import torch.nn.functional as F
from torch import nn


class Gan(nn.Module):
    def __init__(self):
        super().__init__()
        self.g = nn.Linear(2, 2)
        self.d = nn.Linear(2, 1)


model = Gan()
batch = torch.randn(6, 2)
losses = {
    "generator": lambda m, b: -m.d(m.g(b)).mean(),
    "discriminator": lambda m, b: m.d(m.g(b).detach()).mean() - m.d(b).mean(),
}
