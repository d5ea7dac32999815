# ruff: noqa
# expect: model VAE
# expect: batches 1
# expect: argument [8, 12] float32
# expect: loss loss_function is other (found: model.loss_function)
import torch
import torch.nn.functional as F
from torch import nn


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Linear(12, 4)
        self.d = nn.Linear(2, 12)

    def forward(self, x):
        mu, lv = self.e(x).chunk(2, 1)
        return self.d(mu + torch.randn_like(mu) * lv.exp()), mu, lv

    def loss_function(self, recon, x, mu, logvar):
        return F.mse_loss(recon, x) - 0.5 * (1 + logvar - mu**2 - logvar.exp()).mean()


model = VAE()
x = torch.randn(8, 12)
