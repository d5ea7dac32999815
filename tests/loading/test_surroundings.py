"""Measuring sees the working directory and the arguments that the file was run with."""

from __future__ import annotations

import os
import sys

import torch

from gradcheck_cli.pipeline import examine
from gradcheck_cli.settings import Settings

READS_A_FILE = """
    import os, sys
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 2)
            self.seen = []
        def forward(self, x):
            type(self).seen_last = (sys.argv[1:], os.getcwd(), sys.stdin.read())
            return self.layer(x) * float(open("scale.txt").read())
    model = Net()
    x = torch.randn(5, 4)
    y = torch.tensor([0, 1, 0, 1, 0])
"""


def test_the_forward_pass_that_is_measured_runs_in_the_folder_of_cwd_with_the_arguments_of_the_file(load_text, folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "scale.txt").write_text("2.0")
    subject = load_text(READS_A_FILE, cwd="sub", script_args=("--epochs", "3"))
    type(subject.model).seen_last = None
    before = (sys.argv, sys.stdin, os.getcwd())

    report = examine(subject, Settings(target="model.py"))

    assert type(subject.model).seen_last == (["--epochs", "3"], str(folder / "sub"), "")
    assert torch.isfinite(torch.tensor(report.profiles[0].objective.value))
    assert (sys.argv, sys.stdin, os.getcwd()) == before


def test_a_forward_that_needs_keywords_gets_the_variables_of_these_names(load_text):
    subject = load_text("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 2)
        def forward(self, *, x):
            return self.layer(x)
    model = Net()
    x = torch.randn(5, 4)
    y = torch.tensor([0, 1, 0, 1, 0])
    """)
    assert subject.batches[0].args == ()
    assert list(subject.batches[0].kwargs) == ["x"]
    assert subject.batches[0].target.shape == (5,)
