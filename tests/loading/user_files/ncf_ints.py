# ruff: noqa
# expect: model NCF
# expect: batches 3
# expect: argument [8, 32] int64
# expect: argument [8, 32] int64
# expect: target [8, 32, 1] float32
# expect: loss loss_fn is bce (found: loss_fn)
# expect: assumed no data was found: `user` is made up, random integers below 100 of shape [8, 32], shaped for `user_emb`
# expect: assumed no data was found: `item` is made up, random integers below 50 of shape [8, 32], shaped for `item_emb`
# expect: assumed no target was found: targets are made up, random zeros and ones
import torch
import torch.nn.functional as F
from torch import nn


class NCF(nn.Module):
    def __init__(self, num_users=100, num_items=50):
        super().__init__()
        self.user_emb = nn.Embedding(num_users, 8)
        self.item_emb = nn.Embedding(num_items, 8)
        self.fc = nn.Linear(16, 1)

    def forward(self, user, item):
        return torch.sigmoid(self.fc(torch.cat([self.user_emb(user), self.item_emb(item)], -1)))


loss_fn = nn.BCELoss()
