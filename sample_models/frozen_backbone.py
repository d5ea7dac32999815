"""Transfer learning: a backbone with `requires_grad = False` and a new head; frozen on purpose, healthy."""
# gradcheck-expect: clean
# gradcheck-expect-not: GC401

import torch
from torch import nn


def make_backbone() -> nn.Sequential:
    layers = []
    for cin, cout in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class TransferModel(nn.Module):
    def __init__(self, classes: int = 7) -> None:
        super().__init__()
        self.backbone = make_backbone()
        for p in self.backbone.parameters():
            p.requires_grad = False
        self.head = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, x):
        return self.head(self.backbone(x))


def get_model():
    return TransferModel()


x = torch.randn(8, 3, 32, 32)
y = torch.randint(0, 7, (8,))
loss_fn = nn.CrossEntropyLoss()
