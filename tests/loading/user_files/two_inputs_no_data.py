# ruff: noqa
# expect: model Two
# expect: batches 3
# expect: argument [8, 3, 32, 32] float32
# expect: argument [8, 32] int64
# expect: target [8] int64
# expect: loss criterion is cross_entropy (found: criterion)
# expect: assumed no data was found: `image` is made up, random normal numbers of shape [8, 3, 32, 32], shaped for `image_encoder.0`
# expect: assumed no data was found: `text` is made up, random integers below 100 of shape [8, 32], shaped for `text_embedding`
# expect: assumed no target was found: targets are made up, random classes
import torch
import torch.nn.functional as F
from torch import nn


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.image_encoder = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.text_embedding = nn.Embedding(100, 8)
        self.head = nn.Linear(16, 5)

    def forward(self, image, text):
        return self.head(torch.cat([self.image_encoder(image), self.text_embedding(text).mean(1)], 1))


criterion = nn.CrossEntropyLoss()
