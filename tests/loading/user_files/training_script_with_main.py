# ruff: noqa
# expect: model Classifier
# expect: batches 3
# expect: argument [32, 20] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no data was found: `x` is made up, random normal numbers of shape [32, 20], shaped for `enc.l`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

import argparse
from dataclasses import dataclass

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Encoder(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.l = nn.Linear(dim, 16)

    def forward(self, x):
        return self.l(x).relu()


class Classifier(nn.Module):
    def __init__(self, dim=20, classes=4):
        super().__init__()
        self.enc = Encoder(dim)
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        return self.head(self.enc(x))


def train_one_epoch(model, loader, optimizer, criterion):
    for x, y in loader:
        loss = criterion(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=1e-3)
    a = p.parse_args()
    model = Classifier().to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=a.lr)


if __name__ == "__main__":
    main()
