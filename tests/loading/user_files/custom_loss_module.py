# ruff: noqa
# expect: model UNet
# expect: batches 3
# expect: argument [8, 1, 28, 28] float32
# expect: target [8, 1, 28, 28] float32
# expect: loss DiceLoss is other (found: DiceLoss)
# expect: assumed the loss is `DiceLoss()`, the loss class of the file
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [8, 1, 28, 28], shaped for `c`
# expect: assumed no target was found: targets are made up, random zeros and ones
import torch
import torch.nn.functional as F
from torch import nn


class DiceLoss(nn.Module):
    def forward(self, logits, targets):
        p = logits.sigmoid()
        return 1 - (2 * (p * targets).sum() + 1) / (p.sum() + targets.sum() + 1)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(1, 4, 3, padding=1)
        self.o = nn.Conv2d(4, 1, 1)

    def forward(self, x):
        return self.o(F.relu(self.c(x)))
