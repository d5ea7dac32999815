"""BatchNorm1d with two samples a batch: every unit becomes plus or minus one, whatever the data say."""
# gradcheck-expect: GC604

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Head(nn.Module):
    def __init__(self, features: int = 24, hidden: int = 32, classes: int = 3) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, hidden)
        self.bn1 = nn.BatchNorm1d(hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.bn2 = nn.BatchNorm1d(hidden)
        self.fc3 = nn.Linear(hidden, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.fc1(x)))
        x = torch.relu(self.bn2(self.fc2(x)))
        return self.fc3(x)


model = Head()
criterion = nn.CrossEntropyLoss()
dataset = TensorDataset(torch.randn(64, 24), torch.randint(0, 3, (64,)))
loader = DataLoader(dataset, batch_size=2, shuffle=True, drop_last=True)
