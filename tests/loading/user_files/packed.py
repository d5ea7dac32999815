# ruff: noqa
# expect: model P
# expect: batches 1
# expect: argument PackedSequence
# expect: target [2] int64
# expect: loss criterion is cross_entropy (found: criterion)
import torch
import torch.nn.functional as F
from torch import nn

from torch.nn.utils.rnn import pack_sequence


class P(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.GRU(3, 4)
        self.o = nn.Linear(4, 2)

    def forward(self, seq):
        return self.o(self.r(seq)[1][-1])


model = P()
x = pack_sequence([torch.randn(5, 3), torch.randn(3, 3)])
y = torch.tensor([0, 1])
criterion = nn.CrossEntropyLoss()
