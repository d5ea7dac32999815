"""A classifier of 20 hidden layers with a sigmoid after each one; the README's example of a vanishing gradient."""
# gradcheck-expect: GC101
# gradcheck-expect-blame: sigmoid

import torch
from torch import nn


class DeepSigmoidMLP(nn.Module):
    def __init__(self, features: int = 32, width: int = 64, classes: int = 10, depth: int = 20) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(depth):
            layers.append(nn.Linear(features if i == 0 else width, width))
            layers.append(nn.Sigmoid())
        self.net = nn.Sequential(*layers)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.net(x))


model = DeepSigmoidMLP()
loss_fn = nn.CrossEntropyLoss()
x = torch.randn(64, 32)
y = torch.randint(0, 10, (64,))


def train(steps: int = 1000) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(step, loss.item())


if __name__ == "__main__":
    train()
