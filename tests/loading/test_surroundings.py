"""Measuring sees the working directory and the arguments that the file was run with."""

from __future__ import annotations

import os
import sys

import pytest
import torch

from gradcheck_cli.errors import GradcheckError
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


IN_ANOTHER_FOLDER = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 2)
        def forward(self, x):
            return {forward}
    model = Net()
    x = torch.randn(5, 4)
    y = torch.tensor([0, 1, 0, 1, 0])
    def loss_fn(output, target):
        loss = F.cross_entropy(output, target)
        return {loss}
"""


def test_lines_are_named_from_where_gradcheck_was_run(load_text, folder):
    """Those of layers, of operations that run in the folder of --cwd, and of errors there."""
    (folder / "sub").mkdir()
    source = IN_ANOTHER_FOLDER.format(forward="self.layer(x).sqrt()", loss="loss")
    report = examine(load_text(source, cwd="sub"), Settings(target="model.py"))
    finding = next(f for f in report.findings if f.code == "GC501")
    assert (finding.site.file, finding.site.line) == ("model.py", 10)
    layer = next(x for x in report.profiles[0].layers if x.name == "layer")
    assert (layer.site.file, layer.site.line) == ("model.py", 8)


@pytest.mark.parametrize(
    ("forward", "loss", "line"),
    [
        ("self.layer(x) + [][0]", "loss", 10),
        ("self.layer(x)", "loss.item()", 14),
        ("self.layer(x.detach()).detach()", "loss", 10),
    ],
)
def test_errors_are_placed_from_where_gradcheck_was_run(load_text, folder, forward, loss, line):
    (folder / "sub").mkdir()
    with pytest.raises(GradcheckError) as caught:
        examine(load_text(IN_ANOTHER_FOLDER.format(forward=forward, loss=loss), cwd="sub"), Settings(target="model.py"))
    assert caught.value.where == f"model.py:{line}"
