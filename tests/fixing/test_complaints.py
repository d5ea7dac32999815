"""What a scan of the patched source is compared for, beside the findings."""

from __future__ import annotations

import pytest
from scanned_sources import edit

from gradcheck_cli.fixing.comparison import stray

MODEL = """import torch
from torch import nn

model = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.Sigmoid())
x, y = torch.randn(8, 4), torch.rand(8, 4)
loss_fn = nn.MSELoss()
"""
HIDDEN = edit("activation", ["1"], to="relu")


@pytest.mark.parametrize(
    ("patched", "edits", "said"),
    [
        (MODEL.replace("Sigmoid", "ReLU", 1), [HIDDEN], ""),
        (MODEL.replace("Sigmoid", "ReLU"), [HIDDEN], "the patched source makes `3` a ReLU, which the cure leaves alone"),
        (MODEL.replace("nn.Sigmoid(),", "nn.LayerNorm(4), nn.ReLU(),"), [HIDDEN, edit("normalise", ["0"])], ""),
    ],
)
def test_another_activation_than_the_edited_ones_must_stay(scanned, patched, edits, said):
    before = scanned(MODEL).profile
    assert stray(before, [scanned(patched).profile], edits) == said
