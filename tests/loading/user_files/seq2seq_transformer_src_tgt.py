# ruff: noqa
# expect: model T
# expect: batches 3
# expect: argument [8, 32] int64
# expect: argument [8, 32] int64
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `src` is made up, random integers below 100 of shape [8, 32], shaped for `src_emb`
# expect: assumed no data was found: `tgt` is made up, random integers below 80 of shape [8, 32], shaped for `tgt_emb`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class T(nn.Module):
    def __init__(self):
        super().__init__()
        self.src_emb = nn.Embedding(100, 16)
        self.tgt_emb = nn.Embedding(80, 16)
        self.t = nn.Transformer(16, 2, 1, 1, 32, batch_first=True)
        self.out = nn.Linear(16, 80)

    def forward(self, src, tgt):
        return self.out(self.t(self.src_emb(src), self.tgt_emb(tgt)))
