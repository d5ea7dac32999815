# ruff: noqa
# expect: model LM
# expect: batches 1
# expect: argument [4, 12] int64
# expect: target [4, 12] int64
# expect: loss criterion is cross_entropy (found: criterion)
# expect: assumed at run the loss is taken over all positions: output [4, 12, 30] and target [4, 12] flattened
import torch
import torch.nn.functional as F
from torch import nn


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(30, 16)
        self.g = nn.GRU(16, 16, batch_first=True)
        self.h = nn.Linear(16, 30)

    def forward(self, x):
        return self.h(self.g(self.e(x))[0])


model = LM()
inputs = torch.randint(0, 30, (4, 12))
targets = torch.randint(0, 30, (4, 12))
criterion = nn.CrossEntropyLoss()
