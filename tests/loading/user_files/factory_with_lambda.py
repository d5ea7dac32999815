# ruff: noqa
# expect: model Sequential
# expect: batches 3
# expect: argument [32, 8] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `input` is made up, random normal numbers of shape [32, 8], shaped for `0`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

build_model = lambda depth=3: nn.Sequential(*[nn.Linear(8, 8) for _ in range(depth)])
