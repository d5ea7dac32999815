"""Tabular data with nine standardised columns and one in dollars a year: the last column drowns all the others."""
# gradcheck-expect: GC601

import torch
from torch import nn


def load_table(rows: int = 128) -> tuple[torch.Tensor, torch.Tensor]:
    table = torch.randn(rows, 10)
    table[:, 7] = 52_000 + 18_000 * table[:, 7]
    default = (torch.rand(rows, 1) < 0.3).float()
    return table, default


class CreditModel(nn.Module):
    def __init__(self, n_features: int = 10, hidden: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, features):
        return self.layers(features)


model = CreditModel()
inputs, targets = load_table()
loss_fn = nn.BCEWithLogitsLoss()
