"""Adam with a learning rate of 0.5: each step moves every weight by several times its own size."""
# gradcheck-expect: GC106

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 4)

    def forward(self, x):
        return self.head(self.body(x))


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
loss_fn = nn.CrossEntropyLoss()
x = torch.randn(64, 20)
y = torch.randint(0, 4, (64,))
