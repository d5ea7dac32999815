# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [5, 6] float32
# expect: loss loss_fn is other (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn

teacher = nn.Linear(6, 3).requires_grad_(False)
student = nn.Linear(6, 3)
x = torch.randn(5, 6)
model = student


def loss_fn(output, x):
    return F.kl_div(output.log_softmax(1), teacher(x).softmax(1), reduction="batchmean")
