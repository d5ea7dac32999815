# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

import copy, pickle
from dataclasses import dataclass


@dataclass
class Size:
    width: int = 3


size = pickle.loads(pickle.dumps(Size()))
model = nn.Linear(4, size.width)
x = torch.randn(5, 4)
