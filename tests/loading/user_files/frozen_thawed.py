# ruff: noqa
# settings: {"unfreeze": true}
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed --unfreeze: 2 frozen parameters were set to require gradients
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3).requires_grad_(False)
x = torch.randn(5, 4)
