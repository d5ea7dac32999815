# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: argument [5, 6] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import io

import torch
import torch.nn.functional as F
from torch import nn

net = nn.Linear(6, 3)
file = io.BytesIO()
torch.save(net.state_dict(), file)
file.seek(0)
net.load_state_dict(torch.load(file))
net.eval()
inputs = torch.randn(5, 6)
