"""What users of a checker rely on, each through the installed command: exit codes, streams, formats, repeatability."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from command import GRADCHECK, environment, gradcheck

pytestmark = pytest.mark.slow

HEADER = """\
import torch
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(32, 16), torch.randint(0, 4, (32,))
loss_fn = nn.CrossEntropyLoss()
"""
WELL = HEADER + "model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))\n"
SICK = HEADER + (
    "model = nn.Sequential(\n    *[part for _ in range(12) for part in (nn.Linear(16, 16), nn.Sigmoid())],\n"
    "    nn.Linear(16, 4),\n)\n"
)
BROKEN = HEADER + (
    "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(99, 4)\n\n"
    "    def forward(self, x):\n        return self.fc(x)\n\n\nmodel = Net()\n"
)
CRASH = HEADER + "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
MACHINE = ("json", "jsonl", "sarif", "junit", "github", "gitlab", "markdown", "concise")
NO_TRIALS = ("--no-try",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("promises")
    (made / ".git").mkdir()
    for name, text in (("well", WELL), ("sick", SICK), ("broken", BROKEN), ("crash", CRASH)):
        (made / f"{name}.py").write_text(text)
    return made


def scan(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return gradcheck("scan", *arguments, *NO_TRIALS, cwd=folder, env=env)


@pytest.fixture(scope="module")
def documents(folder: Path) -> dict[tuple[str, str], str]:
    """The report of each model in each format, all formats from one scan."""
    made = {}
    for name, code in (("well", 0), ("sick", 1), ("broken", 2)):
        places = [word for form in MACHINE for word in ("--format", form, "-o", f"{name}.{form}")]
        done = scan(folder, f"{name}.py", *places)
        assert (done.returncode, done.stdout) == (code, "")
        made.update({(name, form): (folder / f"{name}.{form}").read_text("utf-8") for form in MACHINE})
    return made


def parsed(form: str, text: str) -> object:
    """Read a document as its readers do; raises for what they would not take."""

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    if form in ("json", "sarif", "gitlab"):
        return json.loads(text, parse_constant=refuse)
    if form == "jsonl":
        return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    if form == "junit":
        return ET.fromstring(text)
    if form == "github":
        lines = text.splitlines()
        assert all(re.match(r"::(error|warning|notice) [^:]*::", line) for line in lines)
        return lines
    return text.splitlines()


# 1


@pytest.mark.parametrize(("name", "code"), [("well", 0), ("sick", 1), ("broken", 2), ("crash", 2)])
@pytest.mark.parametrize("zero", [False, True])
def test_exit_codes(folder: Path, name: str, code: int, zero: bool) -> None:
    done = scan(folder, f"{name}.py", *(["--exit-zero"] if zero else []))
    assert done.returncode == (0 if zero and code == 1 else code)
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (code != 2)
    assert done.stderr.startswith("error E") == (code == 2)


def test_a_warning_fails_only_where_it_is_asked_to(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.gradcheck.rules.GC101]\nseverity = "warning"\n')
    try:
        options = ("sick.py", "--select", "GC101")
        assert [scan(folder, *options, *more).returncode for more in ((), ("--fail-on", "warning"))] == [0, 1]
    finally:
        (folder / "pyproject.toml").unlink()


# 2 and 7


@pytest.mark.parametrize("form", MACHINE)
def test_what_stands_on_stdout_parses_is_never_painted_and_is_the_same_every_time(
    folder: Path, documents: dict[tuple[str, str], str], form: str
) -> None:
    done = scan(folder, "sick.py", "--format", form, "--color", "always", FORCE_COLOR="1")
    assert parsed(form, done.stdout)
    assert "\x1b" not in done.stdout
    assert done.stdout == documents["sick", form]
    assert done.stderr == ""


@pytest.mark.parametrize("form", MACHINE)
def test_nothing_found_is_a_document_too(documents: dict[tuple[str, str], str], form: str) -> None:
    found = parsed(form, documents["well", form])
    empty = {
        "json": lambda: found["findings"] == [],
        "jsonl": lambda: found == [],
        "sarif": lambda: [run["results"] for run in found["runs"]] == [[]],
        "junit": lambda: (found.get("failures"), found.get("errors")) == ("0", "0") and int(found.get("tests")) > 20,
        "github": lambda: found == [],
        "gitlab": lambda: found == [],
        "markdown": lambda: any("well.py" in line for line in found),
        "concise": lambda: found == [],
    }
    assert empty[form]()


@pytest.mark.parametrize("form", MACHINE)
def test_no_verdict_never_looks_like_nothing_found(documents: dict[tuple[str, str], str], form: str) -> None:
    assert parsed(form, documents["broken", form])
    assert "E340" in documents["broken", form]
    assert documents["broken", form] != documents["well", form]


# 3


@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_a_pipe_gets_no_escape_code(folder: Path, env: dict[str, str]) -> None:
    done = scan(folder, "sick.py", **env)
    assert "\x1b" not in done.stdout + done.stderr
    assert "GC101" in done.stdout


def test_no_color_holds_on_a_terminal(folder: Path) -> None:
    parent, child = pty.openpty()
    variables = environment(NO_COLOR="1", TERM="xterm", COLUMNS="100")
    command = subprocess.Popen(
        [str(GRADCHECK), "scan", "sick.py", *NO_TRIALS], cwd=folder, env=variables, stdout=child, stderr=subprocess.DEVNULL
    )
    os.close(child)
    seen = b""
    try:
        while piece := os.read(parent, 65536):
            seen += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    command.wait(60)
    os.close(parent)
    assert b"GC101" in seen
    assert b"\x1b" not in seen


# 4


@pytest.mark.parametrize("form", MACHINE)
def test_no_document_holds_times_or_places(folder: Path, documents: dict[tuple[str, str], str], form: str) -> None:
    for name in ("well", "sick", "broken"):
        assert str(folder) not in documents[name, form]
        assert not re.search(r"20[2-9]\d-\d\d-\d\d", documents[name, form])


# 5


@pytest.mark.parametrize(
    ("arguments", "text", "said", "near"),
    [
        (["--fail-no", "error"], "", "No such option", "--fail-on"),
        (["--select", "GC1O1"], "", "E678", "GC101"),
        (["--ignore", "vanishing-gradeint"], "", "E678", "vanishing-gradient"),
        (["--format", "serif"], "", "E675", "sarif"),
        (["--fail-on", "warnings"], "", "E675", "warning"),
        ([], "fail-no = 'error'", "E674", "fail-on"),
        ([], "per-layer-ignore = {}", "E674", "per-layer-ignores"),
        ([], "target = []", "E674", "targets"),
        ([], 'per-layer-ignores = {"a" = ["dead-unit"]}', "E678", "dead-units"),
        ([], "[tool.gradcheck.rules.GC101]\nsteady-eror = 3", "E674", "steady-error"),
    ],
)
def test_what_is_unknown_is_2_and_names_the_nearest(
    tmp_path: Path, arguments: list[str], text: str, said: str, near: str
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "well.py").write_text(WELL)
    (tmp_path / "pyproject.toml").write_text(f"[tool.gradcheck]\n{text}\n")
    done = scan(tmp_path, "well.py", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert near in done.stderr.splitlines()[-1] + done.stderr


def test_an_unknown_variable_of_the_environment_names_the_nearest(folder: Path) -> None:
    done = scan(folder, "well.py", GRADCHECK_FAIL_NO="note")
    assert done.returncode == 2
    assert "did you mean `GRADCHECK_FAIL_ON`?" in done.stderr


# 6


def test_sarif_has_what_github_requires_and_a_real_line(folder: Path, documents: dict[tuple[str, str], str]) -> None:
    log = json.loads(documents["sick", "sarif"])
    assert log["version"] == "2.1.0"
    assert "sarif-2.1.0" in log["$schema"]
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "gradcheck"
    for rule in driver["rules"]:
        assert rule["id"]
        for text in (rule["shortDescription"]["text"], rule["fullDescription"]["text"], rule["help"]["text"]):
            assert text
        assert len(rule["shortDescription"]["text"]) <= 1024
        assert len(rule["fullDescription"]["text"]) <= 1024
    assert run["results"]
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        assert result["partialFingerprints"]["primaryLocationLineHash"]
        place = result["locations"][0]["physicalLocation"]
        region = place["region"]
        assert {"startLine", "startColumn", "endLine", "endColumn"} <= region.keys()
        line = (folder / place["artifactLocation"]["uri"]).read_text().splitlines()[region["startLine"] - 1]
        assert "nn." in line or "model" in line
    assert "security-severity" not in documents["sick", "sarif"]


# 8


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["scan", "--help"],
        ["baseline", "--help"],
        ["baseline", "write", "--help"],
        ["compare", "--help"],
        ["explain", "GC101"],
        ["explain", "GC901", "--format", "json"],
        ["rules"],
        ["compare", "sick.json", "well.json"],
        ["scan", "sick.py", "--show-settings"],
    ],
)
def test_what_measures_nothing_imports_no_torch(
    folder: Path, documents: dict[tuple[str, str], str], tmp_path: Path, arguments: list[str]
) -> None:
    assert documents
    for name in ("torch", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    done = gradcheck(*arguments, cwd=folder, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert done.stdout


# 9

WATCHFUL = """\
import random

import numpy
import torch
from torch import nn


def digest():
    return (
        [p.detach().clone() for p in model.parameters()],
        [b.clone() for b in model.buffers()],
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        [m.training for m in model.modules()],
    )


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*[part for _ in range(12) for part in (nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Sigmoid())])
        self.head = nn.Linear(16, 4)
        self.calls = 0

    def forward(self, x):
        if globals().get("model") is self:
            print("the original ran")
            now = digest()
            if not all(same(a, b) for a, b in zip(before[:2] + before[3:], now[:2] + now[3:])):
                raise AssertionError("the model has been changed")
            self.calls += 1
            if self.calls != 1:
                raise AssertionError("an attribute was not put back")
        return self.head(self.body(x))


model = Net()
x, y = torch.randn(32, 16), torch.randint(0, 4, (32,))
loss_fn = nn.CrossEntropyLoss()
for parameter in model.parameters():
    parameter.grad = torch.ones_like(parameter)
before = digest()
"""


def test_the_model_is_as_before_whenever_it_runs_again(tmp_path: Path) -> None:
    """It looks at itself at each call: second looks, recurrences and trials come after the first pass."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "model.py").write_text(WATCHFUL)
    done = gradcheck("scan", "model.py", "--try-budget", "5", "--fail-on", "note", cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    assert "model untouched" in done.stdout
    assert done.stderr.count("the original ran") >= 1
    assert "changed" not in done.stderr


# 10


def test_older_baselines_and_reports_are_read(folder: Path, documents: dict[tuple[str, str], str]) -> None:
    assert documents
    old = {
        "schema_version": "1.0",
        "tool_version": "0.0.9",
        "findings": [
            {
                "fingerprint": json.loads(documents["sick", "json"])["findings"][0]["fingerprint"],
                "target": "sick.py",
                "code": "GC101",
                "name": "vanishing-gradient",
                "layer": "1",
                "severity": "error",
                "of_a_later_version": [1],
            }
        ],
    }
    (folder / "old.json").write_text(json.dumps(old))
    done = scan(folder, "sick.py", "--baseline", "old.json", "--select", "GC101")
    assert done.returncode == 0
    stored = Path(__file__).parents[1] / "reporting" / "stored"
    for version in ("1.0", "1.1"):
        done = gradcheck("compare", str(stored / f"report-{version}.json"), str(stored / "report-1.1.json"), cwd=folder)
        assert done.returncode == 0, done.stderr
        assert "alike" in done.stdout
