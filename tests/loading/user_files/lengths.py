# ruff: noqa
# expect: model R
# expect: batches 1
# expect: argument [4, 6, 3] float32
# expect: argument [4] int64
# expect: target [4] int64
# expect: loss loss_fn is cross_entropy (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn


class R(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.LSTM(3, 5, batch_first=True)
        self.o = nn.Linear(5, 2)

    def forward(self, x, lengths):
        p = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.o(self.r(p)[1][0][-1])


model = R()
batch = ((torch.randn(4, 6, 3), torch.tensor([6, 5, 3, 2])), torch.tensor([0, 1, 1, 0]))
loss_fn = nn.CrossEntropyLoss()
