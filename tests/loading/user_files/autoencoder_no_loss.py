# ruff: noqa
# expect: model AE
# expect: batches 3
# expect: argument [32, 30] float32
# expect: loss criterion is mse (found: criterion)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [32, 30], shaped for `e`
# expect: assumed at run the input is the target: there is no other, and the output has its shape
import torch
import torch.nn.functional as F
from torch import nn


class AE(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Linear(30, 5)
        self.d = nn.Linear(5, 30)

    def forward(self, x):
        return self.d(F.relu(self.e(x)))


criterion = nn.MSELoss()
