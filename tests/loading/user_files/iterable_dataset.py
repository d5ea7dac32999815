# ruff: noqa
# expect: model Linear
# expect: batches 3
# expect: argument [32, 4] float32
# expect: target [32] float32
# expect: loss criterion is bce_logits (found: criterion)
# expect: assumed batches of up to 32 were drawn from `dataset`
# expect: assumed at run the target [32] was reshaped to the output's [32, 1]
import torch
import torch.nn.functional as F
from torch import nn

from torch.utils.data import IterableDataset


class Stream(IterableDataset):
    def __iter__(self):
        while True:
            yield torch.randn(4), torch.tensor(1.0)


model = nn.Linear(4, 1)
dataset = Stream()
criterion = nn.BCEWithLogitsLoss()
