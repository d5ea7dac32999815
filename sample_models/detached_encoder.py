"""An audio and a text tower; a forgotten `.detach()` keeps the text tower, meant to be trained, from ever learning."""
# gradcheck-expect: GC401

import torch
import torch.nn.functional as F
from torch import nn


class TwoTowers(nn.Module):
    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.audio = nn.Sequential(nn.Linear(40, 64), nn.GELU(), nn.Linear(64, dim))
        self.text = nn.Sequential(nn.Linear(25, 64), nn.GELU(), nn.Linear(64, dim))
        self.head = nn.Linear(2 * dim, 6)

    def forward(self, audio, text):
        a = self.audio(audio)
        t = self.text(text).detach()
        return self.head(F.gelu(torch.cat([a, t], dim=-1)))


model = TwoTowers()
inputs = (torch.randn(32, 40), torch.randn(32, 25))
targets = torch.randint(0, 6, (32,))
loss_fn = nn.CrossEntropyLoss()
