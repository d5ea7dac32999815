# ruff: noqa
# expect: model Linear
# expect: batches 3
# expect: argument [6, 4] float32
# expect: target [6] int64
# expect: loss cross_entropy is cross_entropy (inferred from output and target)
# expect: assumed the batch is from `get_batch(split='train', batch_size=6)`
# expect: assumed no loss was found: cross_entropy was chosen (output [6, 3], target [6] int64: classes)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)
batch_size = 6


def get_batch(split, batch_size):
    return torch.randn(batch_size, 4), torch.randint(0, 3, (batch_size,))
