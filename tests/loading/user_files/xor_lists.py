# ruff: noqa
# expect: model Sequential
# expect: batches 1
# expect: argument [4, 2] float32
# expect: target [4, 1] float32
# expect: loss loss_fn is bce (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.Linear(2, 4), nn.Sigmoid(), nn.Linear(4, 1), nn.Sigmoid())
X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
Y = [[0.0], [1.0], [1.0], [0.0]]
loss_fn = nn.BCELoss()
