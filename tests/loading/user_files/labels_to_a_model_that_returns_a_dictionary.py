# ruff: noqa
# expect: model Net
# expect: batches 1
# expect: keyword x [5, 4] float32
# expect: keyword labels [5] int64
# expect: target [5] int64
# expect: loss output['loss'] is model (found: output['loss'])
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 3)

    def forward(self, x, labels=None):
        logits = self.l(x)
        return {"logits": logits, "loss": F.cross_entropy(logits, labels) if labels is not None else None}


model = Net()
batch = {"x": torch.randn(5, 4), "labels": torch.tensor([0, 1, 2, 0, 1])}
