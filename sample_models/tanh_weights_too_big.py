"""Three tanh layers whose weights start at std 1: with 200 inputs each, nearly every unit is saturated."""
# gradcheck-expect: GC202

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(200, 200)
        self.fc2 = nn.Linear(200, 200)
        self.fc3 = nn.Linear(200, 200)
        self.act = nn.Tanh()
        self.out = nn.Linear(200, 10)
        for fc in (self.fc1, self.fc2, self.fc3):
            nn.init.normal_(fc.weight)

    def forward(self, x):
        x = self.act(self.fc1(x))
        x = self.act(self.fc2(x))
        x = self.act(self.fc3(x))
        return self.out(x)


train_set = TensorDataset(torch.randn(256, 200), torch.randint(0, 10, (256,)))
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
model = Classifier()
criterion = nn.CrossEntropyLoss()
