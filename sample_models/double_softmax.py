"""A softmax as the last layer and CrossEntropyLoss behind it: the loss takes a softmax of a softmax."""
# gradcheck-expect: GC605

import torch
from torch import nn

model = nn.Sequential(
    nn.Linear(16, 64),
    nn.ReLU(),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 5),
    nn.Softmax(dim=1),
)
loss_fn = nn.CrossEntropyLoss()
x = torch.randn(64, 16)
y = torch.randint(0, 5, (64,))


def main():
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(200):
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()


if __name__ == "__main__":
    main()
