# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8, 1] float32
# expect: loss loss_fn is mse (found: loss_fn)
# expect: assumed `x` holds float64 numbers of numpy; they were given to the model in its own dtype
import torch
import torch.nn.functional as F
from torch import nn

import numpy as np

model = nn.Linear(4, 1)
x = np.random.randn(8, 4)
y = np.random.randn(8, 1)
loss_fn = nn.MSELoss()
