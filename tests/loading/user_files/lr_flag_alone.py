# ruff: noqa
# settings: {"lr": 0.5}
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: optimizer Adam lr=0.5 eps=1e-08 beta1=0.9 beta2=0.999 (--lr)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
# expect: assumed the optimizer is Adam with --lr 0.5: none was found
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)
x = torch.randn(5, 4)
