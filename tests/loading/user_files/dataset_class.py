# ruff: noqa
# expect: model Net
# expect: batches 2
# expect: keyword signal [32, 2, 50] float32
# expect: target [32] int64
# expect: loss cross_entropy is cross_entropy (inferred from output and target)
# expect: assumed the batch is from `Toy()`, the dataset class of the file
# expect: assumed batches of up to 32 were drawn from `Toy`
# expect: assumed no loss was found: cross_entropy was chosen (output [32, 2], target [32] int64: classes)
import torch
import torch.nn.functional as F
from torch import nn

from torch.utils.data import Dataset


class Toy(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, i):
        return {"signal": torch.randn(2, 50), "label": torch.tensor(i % 2)}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv1d(2, 4, 5)
        self.f = nn.Linear(4, 2)

    def forward(self, signal):
        return self.f(self.c(signal).mean(-1))
