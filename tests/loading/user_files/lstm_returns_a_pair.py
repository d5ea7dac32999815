# ruff: noqa
# expect: model Net
# expect: batches 1
# expect: argument [5, 7, 4] float32
# expect: target [5, 7, 3] float32
# expect: loss loss_fn is mse (found: loss_fn)
# expect: assumed at run the loss is taken of part `0` of the model's output
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x):
        return self.r(x)


model = Net()
x = torch.randn(5, 7, 4)
y = torch.randn(5, 7, 3)
loss_fn = nn.MSELoss()
