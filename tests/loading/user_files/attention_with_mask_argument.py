# ruff: noqa
# expect: model Net
# expect: batches 3
# expect: argument [8, 32] int64
# expect: argument [8, 32] bool
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `input_ids` is made up, random integers below 20 of shape [8, 32], shaped for `e`
# expect: assumed no data was found: `attention_mask` is made up, all true of shape [8, 32]
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 8)
        self.o = nn.Linear(8, 2)

    def forward(self, input_ids, attention_mask):
        return self.o((self.e(input_ids) * attention_mask[..., None]).mean(1))
