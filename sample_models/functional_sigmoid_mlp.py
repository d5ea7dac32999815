"""The same disease without a single activation module: `torch.sigmoid` inside the forward, layers in a ModuleList."""
# gradcheck-expect: GC101
# gradcheck-expect-blame: sigmoid

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Net(nn.Module):
    def __init__(self, sizes: tuple[int, ...] = (16, *[48] * 14)) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.out = nn.Linear(sizes[-1], 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = torch.sigmoid(layer(x))
        return F.log_softmax(self.out(x), dim=-1)


net = Net()
criterion = nn.NLLLoss()
inputs = torch.randn(48, 16)
targets = torch.randint(0, 3, (48,))
