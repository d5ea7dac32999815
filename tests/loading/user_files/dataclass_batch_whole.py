# ruff: noqa
# expect: model P
# expect: batches 1
# expect: argument Batch
# expect: target [3] int64
# expect: loss loss_fn is other (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn

from dataclasses import dataclass


@dataclass
class Batch:
    image: torch.Tensor
    label: torch.Tensor


class P(nn.Module):
    def __init__(self):
        super().__init__()
        self.o = nn.Linear(4, 2)

    def forward(self, batch):
        return self.o(batch.image)


model = P()
batch = Batch(torch.randn(3, 4), torch.tensor([0, 1, 1]))


def loss_fn(output, batch):
    return F.cross_entropy(output, batch.label)
