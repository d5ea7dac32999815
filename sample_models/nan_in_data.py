"""A table with a missing value read as NaN, handed to the network as it is."""
# gradcheck-expect: GC603
# gradcheck-expect-not: GC501,GC502

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

features = torch.randn(96, 14)
features[5, 3] = float("nan")
labels = torch.randint(0, 2, (96,))

net = nn.Sequential(nn.Linear(14, 32), nn.ReLU(), nn.Linear(32, 2))
criterion = nn.CrossEntropyLoss()
loader = DataLoader(TensorDataset(features, labels), batch_size=32)
