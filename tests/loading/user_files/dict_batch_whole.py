# ruff: noqa
# expect: model Net
# expect: batches 1
# expect: argument dict
# expect: target [6] int64
# expect: loss loss_fn is cross_entropy (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 4)
        self.b = nn.Linear(5, 4)
        self.h = nn.Linear(8, 2)

    def forward(self, batch):
        return self.h(torch.cat([self.a(batch["a"]), self.b(batch["b"])], 1))


model = Net()
batch = {"a": torch.randn(6, 3), "b": torch.randn(6, 5), "label": torch.randint(0, 2, (6,))}
loss_fn = nn.CrossEntropyLoss()
