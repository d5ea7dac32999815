# ruff: noqa
# expect: model PINN
# expect: batches 1
# expect: argument [20, 1] float32
# expect: loss loss_fn is other (found: loss_fn)
import torch
import torch.nn.functional as F
from torch import nn


class PINN(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x):
        return self.net(x)


model = PINN()
x = torch.linspace(0, 1, 20)[:, None].requires_grad_()


def loss_fn(model, x):
    u = model(x)
    du = torch.autograd.grad(u, x, torch.ones_like(u), create_graph=True)[0]
    return (du - torch.cos(x)).pow(2).mean()
