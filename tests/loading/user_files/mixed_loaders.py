# ruff: noqa
# expect: model Sequential
# expect: batches 3
# expect: argument [16, 3, 8, 8] float32
# expect: target [16] int64
# expect: loss cross_entropy is cross_entropy (inferred from output and target)
# expect: assumed no loss was found: cross_entropy was chosen (output [16, 4], target [16] int64: classes)
import torch
import torch.nn.functional as F
from torch import nn

from torch.utils.data import DataLoader, TensorDataset

train_ds = TensorDataset(torch.randn(50, 3, 8, 8), torch.randint(0, 4, (50,)))


def get_dataloader(batch_size):
    return DataLoader(train_ds, batch_size=batch_size)


model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
