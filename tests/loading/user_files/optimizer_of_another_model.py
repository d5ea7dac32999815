# ruff: noqa
# expect: model Sequential
# expect: batches 1
# expect: argument [8, 2] float32
# expect: target [8, 1] float32
# expect: loss loss_fn is mse (found: loss_fn)
# expect: optimizer SGD lr=0.05 (found: sgd)
import torch
from torch import nn

sampler = nn.ModuleDict({"inner": nn.Linear(2, 2)})
optimizer = torch.optim.Adam(sampler.parameters(), lr=1e-4)
model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
sgd = torch.optim.SGD(model.parameters(), lr=0.05)
loss_fn = nn.MSELoss()
x = torch.randn(8, 2)
y = x.sum(1, keepdim=True)
