# ruff: noqa
# expect: model ViT
# expect: batches 3
# expect: argument [8, 3, 48, 48] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [8, 3, 48, 48], shaped for `patch`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn


class ViT(nn.Module):
    def __init__(self, image_size=48, patch=8, d=32):
        super().__init__()
        self.patch = nn.Conv2d(3, d, patch, patch)
        self.pos = nn.Parameter(torch.zeros(1, (image_size // patch) ** 2 + 1, d))
        self.cls = nn.Parameter(torch.zeros(1, 1, d))
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(d, 4, 64, batch_first=True), 2)
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.size(0), -1, -1), x], 1) + self.pos
        return self.head(self.enc(x)[:, 0])
