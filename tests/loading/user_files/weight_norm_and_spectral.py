# ruff: noqa
# expect: model Sequential
# expect: batches 3
# expect: argument [32, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `input` is made up, random normal numbers of shape [32, 4], shaped for `0`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

from torch.nn.utils.parametrizations import weight_norm, spectral_norm

model = nn.Sequential(weight_norm(nn.Linear(4, 4)), nn.ReLU(), spectral_norm(nn.Linear(4, 2)))
