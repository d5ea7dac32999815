# ruff: noqa
# expect: model Linear
# expect: batches 3
# expect: argument [5, 4] float32
# expect: target [5] int64
# expect: loss cross_entropy is cross_entropy (inferred from output and target)
# expect: assumed of the loaders `loaders['val']`, `loaders['train']` the batch is from `loaders['train']`
# expect: assumed no loss was found: cross_entropy was chosen (output [5, 3], target [5] int64: classes)
import torch
import torch.nn.functional as F
from torch import nn

from torch.utils.data import DataLoader, TensorDataset

model = nn.Linear(4, 3)
loaders = {p: DataLoader(TensorDataset(torch.randn(20, 4), torch.randint(0, 3, (20,))), batch_size=5) for p in ("val", "train")}
