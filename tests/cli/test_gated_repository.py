"""A team's repository: a healthy model on main, and a branch that breaks it. Everything runs through the installed command."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from command import gradcheck

pytestmark = pytest.mark.slow

MODEL = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for _ in range({depth}):
            linear = nn.Linear(32, 32)
            {init}
            layers.append(linear)
            layers.append(nn.{activation}())
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.body(x))


torch.manual_seed(0)
model = Net()
x, y = torch.randn(64, 32), torch.randint(0, 4, (64,))
loss_fn = nn.CrossEntropyLoss()
"""
HEALTHY = MODEL.format(depth=6, activation="ReLU", init='nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")')
BROKEN = MODEL.format(depth=14, activation="Sigmoid", init="nn.init.normal_(linear.weight, std=0.18)")
WORSE = MODEL.format(depth=20, activation="Sigmoid", init="nn.init.normal_(linear.weight, std=0.18)")
BLAMED = 1 + BROKEN.splitlines().index("            layers.append(nn.Sigmoid())")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("team")
    (folder / "src").mkdir()
    (folder / "pyproject.toml").write_text('[tool.gradcheck]\ntargets = ["src/model.py"]\nno-try = true\n')
    _git(folder, "init", "-q", "-b", "main")
    _committed(folder, HEALTHY, "healthy")
    return folder


def _git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def _committed(folder: Path, text: str, message: str) -> None:
    (folder / "src" / "model.py").write_text(text)
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", message)


def test_the_gate_over_the_life_of_a_branch(repository: Path) -> None:
    # main: healthy, and its report is kept for comparing
    done = gradcheck("scan", "--format", "json", "-o", "main.json", "--format", "text", cwd=repository)
    assert (done.returncode, done.stderr) == (0, "")
    assert "healthy: nothing found" in done.stdout

    # the branch: sigmoid for ReLU, deeper, bad initialisation
    _git(repository, "checkout", "-q", "-b", "deeper")
    _committed(repository, BROKEN, "broken")
    outputs = ["--format", "sarif", "-o", "out.sarif", "--format", "junit", "-o", "out.xml", "--format", "github"]
    done = gradcheck("scan", *outputs, cwd=repository)
    assert done.returncode == 1
    assert done.stdout.startswith(f"::error file=src/model.py,line={BLAMED},")
    assert "GC101" in done.stdout.splitlines()[0]
    (result,) = [r for r in json.loads((repository / "out.sarif").read_text())["runs"][0]["results"] if r["ruleId"] == "GC101"]
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("src/model.py", BLAMED)
    assert result["level"] == "error"
    assert int(ET.parse(repository / "out.xml").getroot().get("failures", "0")) >= 1

    # the line is the same from another folder of the repository
    below = gradcheck("scan", "model.py", "--format", "sarif", cwd=repository / "src")
    where = json.loads(below.stdout)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert where["artifactLocation"]["uri"] == "src/model.py"

    # what is known passes
    done = gradcheck("baseline", "write", cwd=repository)
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(r"gradcheck-baseline\.json: \d findings?, \d of them new, 0 no longer there\n", done.stderr)
    accept = ["--baseline", "gradcheck-baseline.json"]
    done = gradcheck("scan", *accept, cwd=repository)
    assert done.returncode == 0
    assert re.search(r"\nverdict +accepted: ", done.stdout)
    assert gradcheck("scan", "model.py", "--baseline", "../gradcheck-baseline.json", cwd=repository / "src").returncode == 0

    # what gets worse does not
    _committed(repository, WORSE, "worse")
    done = gradcheck("scan", *accept, cwd=repository)
    assert done.returncode == 1
    assert re.search(r"baseline +it was \S+ decades when the baseline was written, and is \S+ decades", done.stdout)

    # compared with main: the layer and the factor
    gradcheck("scan", "--format", "json", "-o", "branch.json", cwd=repository)
    done = gradcheck("compare", "main.json", "branch.json", cwd=repository)
    assert done.returncode == 0
    assert re.search(r"worse: `body\.0` receives \S+ × less gradient", done.stdout), done.stdout
    assert gradcheck("compare", "main.json", "branch.json", "--fail-on-regression", "1", cwd=repository).returncode == 1
    assert gradcheck("compare", "main.json", "main.json", "--fail-on-regression", "1", cwd=repository).returncode == 0
    done = gradcheck("scan", *accept, "--compare", "main.json", cwd=repository)
    assert "`body.0` receives" in done.stdout

    # mended: passes, the entry is stale, and pruning takes it out
    _committed(repository, HEALTHY, "mended")
    done = gradcheck("scan", *accept, cwd=repository)
    assert done.returncode == 0
    assert re.search(r"stale: GC101 vanishing-gradient at `body\.\d+` is no longer found", done.stdout)
    done = gradcheck("scan", *accept, "--compare", "main.json", "--fail-on-regression", "1", cwd=repository)
    assert done.returncode == 0
    done = gradcheck("baseline", "prune", cwd=repository)
    assert done.returncode == 0
    assert "gone: src/model.py: GC101 vanishing-gradient at body." in done.stderr
    assert json.loads((repository / "gradcheck-baseline.json").read_text())["findings"] == []


def test_a_comment_on_the_blamed_line_lets_the_branch_pass_and_is_told_when_it_is_idle(repository: Path) -> None:
    mark = "  # gradcheck: ignore[GC101] a demonstration"
    lines = BROKEN.splitlines()
    lines[BLAMED - 1] += mark
    (repository / "src" / "model.py").write_text("\n".join(lines) + "\n")
    done = gradcheck("scan", "--format", "sarif", "-o", "out.sarif", "--format", "text", cwd=repository)
    assert done.returncode == 0
    assert f"by the comment at src/model.py:{BLAMED}: a demonstration" in done.stdout
    results = json.loads((repository / "out.sarif").read_text())["runs"][0]["results"]
    (accepted,) = [r for r in results if r["ruleId"] == "GC101"]
    assert accepted["suppressions"][0]["kind"] == "inSource"
    assert accepted["suppressions"][0]["justification"] == "a demonstration"

    healthy = HEALTHY.replace("nn.ReLU())", f"nn.ReLU()){mark}")
    (repository / "src" / "model.py").write_text(healthy)
    done = gradcheck("scan", "--fail-on", "warning", "--format", "concise", cwd=repository)
    assert done.returncode == 1
    line = 1 + next(i for i, text in enumerate(healthy.splitlines()) if mark in text)
    assert done.stdout.startswith(f"src/model.py:{line}: GC901 [warning] ")


def test_a_baseline_is_not_written_in_part(repository: Path) -> None:
    (repository / "src" / "model.py").write_text(BROKEN)
    file = repository / "partial.json"
    done = gradcheck("baseline", "write", "src/model.py", "src/none.py", "--baseline", "partial.json", cwd=repository)
    assert done.returncode == 2
    assert done.stderr.startswith("error E101")
    assert not file.exists()
    done = gradcheck("baseline", "prune", "--baseline", "partial.json", cwd=repository)
    assert done.returncode == 2
    assert done.stderr.startswith("error E683: cannot read the baseline partial.json\n  why   No such file or directory\n")
    file.write_text('{"format": "of another tool"}')
    assert gradcheck("baseline", "write", "--baseline", "partial.json", cwd=repository).returncode == 2
    assert file.read_text() == '{"format": "of another tool"}'  # nothing that is no baseline is overwritten
