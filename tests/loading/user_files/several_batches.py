# ruff: noqa
# settings: {"batches": 5}
# expect: model Linear
# expect: batches 5
# expect: argument [6, 4] float32
# expect: target [6, 3] float32
# expect: loss mse is mse (inferred from output and target)
# expect: assumed no loss was found: mse was chosen (output [6, 3], target [6, 3] float32: numbers)
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 3)


def get_batch():
    return torch.randn(6, 4), torch.randn(6, 3)
