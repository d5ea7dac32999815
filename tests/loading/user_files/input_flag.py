# ruff: noqa
# settings: {"input": ["4,3,40,40"], "loss": "cross_entropy"}
# expect: model Sequential
# expect: batches 1
# expect: argument [4, 3, 40, 40] float32
# expect: target [4] int64
# expect: loss cross_entropy is cross_entropy (--loss cross_entropy)
# expect: assumed no target was found: targets are made up, random classes
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 7))
