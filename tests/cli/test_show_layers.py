from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import gradcheck

MODEL = """\
import torch
from torch import nn

print("built")


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.body = nn.Linear(4, width)
        self.again = self.body
        self.head = nn.Linear(width, 2)
        self.head.bias.requires_grad_(False)
        self.act = nn.ReLU().requires_grad_(False)

    def forward(self, x):
        raise RuntimeError("nobody calls it")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "broken.py").write_text("raise ValueError('odd')\n")
    return tmp_path


def test_layers_are_listed_with_their_parameters_and_lines_and_nothing_is_run(folder: Path) -> None:
    done = gradcheck("scan", "model.py", "--show-layers", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "| built\n")
    assert done.stdout.splitlines() == [
        "model.py · Net · 4 modules · 58 parameters",
        "  layer                parameters                built at",
        "  (root) Net                                     model.py:7",
        "  body Linear = again          40                model.py:10",
        "  head Linear                  18  16 trainable  model.py:12",
        "  act ReLU                                       model.py:14",
    ]


def test_the_list_is_there_for_machines_too(folder: Path) -> None:
    done = gradcheck("scan", "model.py", "--show-layers", "--format", "json", "--init", "width=16", "-q", cwd=folder)
    outline = json.loads(done.stdout)
    assert [layer["name"] for layer in outline["layers"]] == ["", "body", "head", "act"]
    assert outline["layers"][1] == {
        "name": "body",
        "kind": "Linear",
        "parameters": 80,
        "trainable": 80,
        "aliases": ["again"],
        "site": {"file": "model.py", "line": 10, "exact": True},
    }
    assert done.stderr == ""


def test_a_model_that_cannot_be_built_is_no_verdict_and_hides_no_other(folder: Path) -> None:
    done = gradcheck("scan", "broken.py", "model.py", "--show-layers", cwd=folder)
    assert done.returncode == 2
    assert "error E118" in done.stderr
    assert "body Linear" in done.stdout
