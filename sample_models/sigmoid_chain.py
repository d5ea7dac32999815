"""The textbook chain: one neuron per layer, each with a sigmoid; next to nothing reaches the first weight."""
# gradcheck-expect: GC101
# gradcheck-expect-blame: sigmoid

import torch
from torch import nn


def build_model(depth: int = 12) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(1, 1), nn.Sigmoid()]
    return nn.Sequential(*layers)


model = build_model()
x = torch.linspace(-2, 2, 32).unsqueeze(1)
y = (x > 0).float()
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
