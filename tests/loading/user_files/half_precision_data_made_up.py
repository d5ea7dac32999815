# ruff: noqa
# expect: model Linear
# expect: batches 3
# expect: argument [32, 4] bfloat16
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `input` is made up, random normal numbers of shape [32, 4]
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3).bfloat16()
