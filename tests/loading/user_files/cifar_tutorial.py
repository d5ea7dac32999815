# ruff: noqa
# expect: model Net
# expect: batches 3
# expect: argument [8, 3, 32, 32] float32
# expect: target [8] int64
# expect: loss criterion is cross_entropy (found: criterion)
# expect: optimizer SGD lr=0.001 momentum=0.9 (found: optimizer)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [8, 3, 32, 32], shaped for `conv1`
# expect: assumed no target was found: targets are made up, random classes
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


net = Net()
criterion = nn.CrossEntropyLoss()
import torch.optim as optim

optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
