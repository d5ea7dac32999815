"""A perceptron whose second hidden layer starts with a bias of -0.9: nearly all its units are zero on every sample."""
# gradcheck-expect: GC201

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(20, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64, 4)
        nn.init.constant_(self.fc2.bias, -0.9)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


x = torch.randn(128, 20)
y = torch.randint(0, 4, (128,))


def train():
    model = Model()
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(100):
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()


if __name__ == "__main__":
    train()
