# ruff: noqa
# expect: model Sequential
# expect: batches 1
# expect: argument [64, 2] float32
# expect: target [64, 1] float32
# expect: loss loss_fn is mse (found: loss_fn)
# expect: optimizer Adam lr=0.01 eps=1e-08 beta1=0.9 beta2=0.999 (found: opt)
# expect: assumed the file has trained the model with `opt` while it was imported: these are trained weights
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
opt = torch.optim.Adam(model.parameters(), lr=0.01)
loss_fn = nn.MSELoss()
X = torch.randn(64, 2)
y = X.sum(1, keepdim=True)
for epoch in range(3):
    loss = loss_fn(model(X), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(epoch, loss.item())
