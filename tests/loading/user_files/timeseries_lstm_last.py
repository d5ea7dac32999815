# ruff: noqa
# expect: model L
# expect: batches 3
# expect: argument [8, 20, 1] float32
# expect: target [8, 1] float32
# expect: loss criterion is mse (found: criterion)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [8, 20, 1], shaped for `lstm`
# expect: assumed no target was found: targets are made up, random normal numbers
import torch
import torch.nn.functional as F
from torch import nn


class L(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 16, batch_first=True)
        self.fc = nn.Linear(16, 1)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


criterion = nn.MSELoss()
