# ruff: noqa
# expect: model M
# expect: batches 1
# expect: argument [5, 6] float32
# expect: target dict
# expect: loss loss_fn is other (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn


class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.t = nn.Linear(6, 8)
        self.a = nn.Linear(8, 3)
        self.b = nn.Linear(8, 1)

    def forward(self, x):
        h = self.t(x).tanh()
        return {"cls": self.a(h), "reg": self.b(h)}


def loss_fn(out, target):
    return F.cross_entropy(out["cls"], target["cls"]) + F.mse_loss(out["reg"], target["reg"])


model = M()
batch = (torch.randn(5, 6), {"cls": torch.tensor([0, 1, 2, 0, 1]), "reg": torch.randn(5, 1)})
