"""A ReLU RNN whose recurrent weights start orthogonal with gain 2: state and gradient grow on each of 40 steps."""
# gradcheck-expect: GC104

import torch
from torch import nn


class SequenceRegressor(nn.Module):
    def __init__(self, features: int = 4, hidden: int = 32) -> None:
        super().__init__()
        self.rnn = nn.RNN(features, hidden, nonlinearity="relu", batch_first=True)
        self.fc = nn.Linear(hidden, 1)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=2.0)

    def forward(self, x):
        _, h = self.rnn(x)
        return self.fc(h[-1])


model = SequenceRegressor()
loss_fn = nn.MSELoss()
x = torch.randn(16, 40, 4)
y = torch.randn(16, 1)
