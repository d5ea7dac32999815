# ruff: noqa
# expect: model Linear
# expect: batches 3
# expect: argument [32, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed the model inside DataParallel was measured
# expect: assumed no data was found: `input` is made up, random normal numbers of shape [32, 4]
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

model = nn.DataParallel(nn.Linear(4, 3))
