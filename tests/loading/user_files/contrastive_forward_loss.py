# ruff: noqa
# expect: model C
# expect: batches 3
# expect: argument [32, 6] float32
# expect: argument [32, 6] float32
# expect: loss the model's output is model (found: the model's output)
# expect: assumed no data was found: `v1` is made up, random normal numbers of shape [32, 6], shaped for `e`
# expect: assumed no data was found: `v2` is made up, random normal numbers of shape [32, 6], shaped for `e`
import torch
import torch.nn.functional as F
from torch import nn


class C(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Linear(6, 4)

    def forward(self, v1, v2):
        a, b = F.normalize(self.e(v1)), F.normalize(self.e(v2))
        return F.cross_entropy(a @ b.T / 0.1, torch.arange(len(a)))


model = C()
