"""A changed function or class that other code of the file makes use of."""

from __future__ import annotations

import pytest
from scanned_sources import edit

MAKER = """import torch
from torch import nn


def make(depth):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(4, 4), nn.Sigmoid())]
    return nn.Sequential(*layers)


{teacher}
model = make(3)
x, y = torch.randn(8, 4), torch.randn(8, 4)
loss_fn = nn.MSELoss()
"""
CLASS = """import torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.act = nn.Sigmoid()

    def forward(self, x):
        return self.act(self.fc(x))


{teacher}
model = nn.Sequential(
    Block(),
    Block(),
)
x, y = torch.randn(8, 4), torch.randn(8, 4)
loss_fn = nn.MSELoss()
"""


@pytest.mark.parametrize(
    ("text", "teacher", "places"),
    [
        (MAKER, "teacher = make(2)", "model.py:10, model.py:11"),
        (CLASS, "teacher = Block()", "model.py:15"),
        (CLASS, "class Other(Block):\n    pass", "model.py:15"),
    ],
)
def test_other_users_are_noted(scanned, text, teacher, places):
    scan = scanned(text.replace("{teacher}", teacher))
    (note,) = scan.notes(edit("activation", scan.named("Sigmoid"), to="relu"))
    assert note.endswith(f"serves {places}")


@pytest.mark.parametrize("text", [MAKER, CLASS])
def test_the_model_s_own_use_is_no_news(scanned, text):
    scan = scanned(text.replace("{teacher}", ""))
    assert scan.notes(edit("activation", scan.named("Sigmoid"), to="relu")) == ()
