# ruff: noqa
# expect: model ModuleDict
# expect: batches 1
# expect: argument [8, 2] float32
# expect: loss g is other (found: g_loss)
# expect: loss d is other (found: d_loss)
# expect: optimizer Adam lr=0.0001 eps=1e-08 beta1=0.9 beta2=0.999 (found: opt_g)
# expect: assumed of the optimizers `opt_g`, `opt_d` the update ratios are for `opt_g`
import torch
import torch.nn.functional as F
from torch import nn

model = nn.ModuleDict({"g": nn.Linear(2, 2), "d": nn.Linear(2, 1)})
opt_g = torch.optim.Adam(model["g"].parameters(), lr=1e-4)
opt_d = torch.optim.SGD(model["d"].parameters(), lr=1e-2)


def g_loss(model, batch):
    return model["d"](model["g"](batch)).mean()


def d_loss(model, batch):
    return -model["d"](model["g"](batch).detach()).mean()


batch = torch.randn(8, 2)
