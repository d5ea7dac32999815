# ruff: noqa
# expect: model P
# expect: batches 3
# expect: argument [32, 6] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `obs` is made up, random normal numbers of shape [32, 6], shaped for `e`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class P(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Linear(6, 4)

    def forward(self, obs):
        return torch.distributions.Categorical(logits=self.e(obs))


policy = P()
