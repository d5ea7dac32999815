# ruff: noqa
# expect: model Linear
# expect: batches 3
# expect: argument [64, 4] float32
# expect: target [64] int64
# expect: loss cross_entropy is cross_entropy (inferred from output and target)
# expect: assumed `X_train` holds 300 rows: batches of its first rows, 64 each, were used
# expect: assumed no loss was found: cross_entropy was chosen (output [64, 3], target [64] int64: classes)
import torch
import torch.nn.functional as F
from torch import nn

import numpy as np

model = nn.Linear(4, 3)
X_train = np.random.rand(300, 4).astype("float32")
y_train = np.random.randint(0, 3, 300)
