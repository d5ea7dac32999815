# ruff: noqa
# expect: model Linear
# expect: batches 1
# expect: keyword input [10, 4] float32
# expect: loss projection is projection (random projection of the output)
# expect: assumed batches of up to 32 were drawn from `dataset`
# expect: assumed no loss and no target were found: the loss is a fixed random projection of the output
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Linear(4, 1)
dataset = torch.utils.data.TensorDataset(torch.randn(10, 4))


def collate_fn(items):
    return {"input": torch.stack([i[0] for i in items])}
