"""Saved weights go by parameters' names: a patch that changes them says so."""

from __future__ import annotations

from scanned_sources import edit, scanner

from gradcheck_cli.fixing.comparison import renamed

TEXT = """import torch
from torch import nn

blocks = [nn.Linear(4, 4) for _ in range(2)]
model = nn.Sequential(nn.ModuleList(blocks)[0], {first}nn.Linear(4, 3), {second}nn.Linear(3, 3))
x, y = torch.randn(8, 4), torch.randn(8, 3)
loss_fn = nn.MSELoss()
"""


def _profile(folder, first="", second=""):
    return scanner(folder)(TEXT.replace("{first}", first).replace("{second}", second)).profile


def test_moved_parameters_are_named_by_the_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before, after = _profile(tmp_path), _profile(tmp_path, first="nn.ReLU(), ")
    assert renamed(before, [after]) == (
        "state-dict keys change: `1.weight` becomes `2.weight`, among others; weights saved before do not load",
    )
    assert renamed(before, [before]) == ()


def test_a_wrapped_layer_moves_one_level_down(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = """import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x

model = Net()
x, y = torch.randn(8, 4), torch.randn(8, 4)
loss_fn = nn.MSELoss()
"""
    scan = scanner(tmp_path)
    before = scan(text)
    new = before.patched(edit("insert_activation", before.named("Linear"), to="relu"))
    (note,) = renamed(before.profile, [scan(new).profile])
    assert "`blocks.0.weight` becomes `blocks.0.0.weight`" in note
