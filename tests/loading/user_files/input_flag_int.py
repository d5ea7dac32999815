# ruff: noqa
# settings: {"input": ["int:4,12"]}
# expect: model Sequential
# expect: batches 1
# expect: argument [4, 12] int64
# expect: loss projection is projection (random projection of the output)
# expect: assumed `input` holds random integers below 30
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.Embedding(30, 8), nn.Flatten(), nn.Linear(96, 3))
