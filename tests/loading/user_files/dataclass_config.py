# ruff: noqa
# expect: model LM
# expect: batches 3
# expect: argument [8, 32] int64
# expect: loss projection is projection (random projection of the output)
# expect: assumed `LM` was built with `config` = Config() with its defaults
# expect: assumed no data was found: `idx` is made up, random integers below 50 of shape [8, 32], shaped for `e`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

from dataclasses import dataclass


@dataclass
class Config:
    vocab_size: int = 50
    n: int = 16


class LM(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.e = nn.Embedding(config.vocab_size, config.n)
        self.h = nn.Linear(config.n, config.vocab_size)

    def forward(self, idx, targets=None):
        logits = self.h(self.e(idx))
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
        return logits, loss
