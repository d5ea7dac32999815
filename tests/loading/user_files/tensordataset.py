# ruff: noqa
# expect: model Linear
# expect: batches 3
# expect: argument [16, 4] float32
# expect: target [16] int64
# expect: loss cross_entropy is cross_entropy (inferred from output and target)
# expect: assumed no loss was found: cross_entropy was chosen (output [16, 3], target [16] int64: classes)
import torch
import torch.nn.functional as F
from torch import nn

from torch.utils.data import TensorDataset, DataLoader

ds = TensorDataset(torch.randn(100, 4), torch.randint(0, 3, (100,)))
train_loader = DataLoader(ds, batch_size=16, shuffle=True, num_workers=2, persistent_workers=True)
val_loader = DataLoader(ds, batch_size=50)
model = nn.Linear(4, 3)
