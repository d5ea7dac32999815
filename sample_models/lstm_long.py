"""nn.LSTM over 200 steps with its forget gates opened at the start, as one should for long memories; healthy."""
# gradcheck-expect: clean

import math

import torch
from torch import nn


class LSTMClassifier(nn.Module):
    def __init__(self, features: int = 8, hidden: int = 24, classes: int = 4, steps: int = 200) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)
        self._chrono_init(hidden, steps)

    def _chrono_init(self, hidden: int, steps: int) -> None:
        """Open the forget gates: their bias is log u with u uniform up to `steps` (Tallec and Ollivier, 2018)."""
        with torch.no_grad():
            bias = torch.log(torch.empty(hidden).uniform_(math.e, steps))
            self.lstm.bias_hh_l0.zero_()
            self.lstm.bias_ih_l0.zero_()
            self.lstm.bias_ih_l0[:hidden] = -bias
            self.lstm.bias_ih_l0[hidden : 2 * hidden] = bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, (h, _) = self.lstm(x)
        return self.head(h[-1])


model = LSTMClassifier()
loss_fn = nn.CrossEntropyLoss()
x = torch.randn(16, 200, 8)
y = torch.randint(0, 4, (16,))
