# ruff: noqa
# expect: model G
# expect: batches 1
# expect: argument [8, 4] float32
# expect: target [8] int64
# expect: loss criterion is cross_entropy (found: criterion)
# expect: assumed at run the loss is taken of part `logits` of the model's output
import torch
import torch.nn.functional as F
from torch import nn


class G(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)
        self.b = nn.Linear(4, 1)

    def forward(self, x):
        return {"logits": self.a(x), "aux": self.b(x)}


model = G()
x = torch.randn(8, 4)
y = torch.randint(0, 3, (8,))
criterion = nn.CrossEntropyLoss()
