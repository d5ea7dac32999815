# ruff: noqa
# expect: model Linear
# expect: batches 2
# expect: argument [5, 4] float32
# expect: target [5] int64
# expect: loss cross_entropy is cross_entropy (inferred from output and target)
# expect: assumed no loss was found: cross_entropy was chosen (output [5, 3], target [5] int64: classes)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)
loader = [(torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]))] * 2
