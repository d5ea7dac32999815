# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [5, 4] float32
# expect: target [5] int64
# expect: loss criterion is cross_entropy (found: criterion)
# expect: assumed entry 1 of the batch is taken as the target, entries after it are not used
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)
batch = (torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]), torch.arange(5))
criterion = nn.CrossEntropyLoss()
