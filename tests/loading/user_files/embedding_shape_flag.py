# ruff: noqa
# settings: {"input": ["3,7"]}
# expect: model Sequential
# expect: batches 1
# expect: argument [3, 7] int64
# expect: loss projection is projection (random projection of the output)
# expect: assumed `input` is filled with integers: the first layer, `0`, is an embedding
# expect: assumed `input` holds random integers below 11
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.Embedding(11, 4))
