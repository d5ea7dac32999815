# ruff: noqa
# expect: model P
# expect: batches 1
# expect: keyword image [3, 4] float32
# expect: keyword mask [3, 4] float32
# expect: target [3] int64
# expect: loss criterion is cross_entropy (found: criterion)
import torch
import torch.nn.functional as F
from torch import nn

from collections import namedtuple

B = namedtuple("B", "image mask label")


class P(nn.Module):
    def __init__(self):
        super().__init__()
        self.o = nn.Linear(4, 2)

    def forward(self, image, mask):
        return self.o(image * mask)


model = P()
batch = B(torch.randn(3, 4), torch.ones(3, 4), torch.tensor([0, 1, 1]))
criterion = nn.CrossEntropyLoss()
