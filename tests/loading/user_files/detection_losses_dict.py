# ruff: noqa
# expect: model Det
# expect: batches 1
# expect: argument [2, 3, 8, 8] float32
# expect: keyword targets dict
# expect: target dict
# expect: loss the sum of output['loss_cls'], output['loss_box'] is model (found: the sum of output['loss_cls'], output['loss_box'])
import torch
import torch.nn.functional as F
from torch import nn


class Det(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(3, 4, 3, padding=1)
        self.cls = nn.Conv2d(4, 2, 1)
        self.box = nn.Conv2d(4, 4, 1)

    def forward(self, images, targets=None):
        f = self.c(images).relu()
        if self.training and targets is not None:
            return {
                "loss_cls": F.binary_cross_entropy_with_logits(self.cls(f), targets["cls"]),
                "loss_box": F.l1_loss(self.box(f), targets["box"]),
            }
        return self.cls(f)


model = Det()
batch = (torch.randn(2, 3, 8, 8), {"cls": torch.rand(2, 2, 8, 8), "box": torch.rand(2, 4, 8, 8)})
