"""The installed command on real models: loading, measuring, judging and the report together."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
from command import GRADCHECK, gradcheck

from gradcheck_cli.records import Report, from_dict, to_dict

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "report-1.json").read_text("utf-8"))
WELL = """\
import torch
from torch import nn

print("built")
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
x, y = torch.randn(32, 8), torch.randint(0, 3, (32,))
loss_fn = nn.CrossEntropyLoss()
"""
SICK = WELL.replace("nn.ReLU()", "Root()").replace(
    "model =", "class Root(nn.Module):\n    def forward(self, x):\n        return x.sqrt()\n\n\nmodel ="
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "well.py").write_text(WELL)
    (tmp_path / "sick.py").write_text(SICK)
    return tmp_path


def test_a_healthy_model_gets_a_short_report_and_0(folder: Path) -> None:
    done = gradcheck("scan", "well.py", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "| built\n")
    lines = done.stdout.splitlines()
    start = "well.py · Sequential · 3 layers · 195 parameters · batch 32×8 float32 (found: x, y) · cross_entropy 1."
    assert lines[0].startswith(start)
    assert lines[2] == "verdict   healthy: nothing found"
    assert re.fullmatch(r"gradient  input -\d\.\d [▁-█]+ -\d\.\d loss  \d\.\d decades lost on the way to the input", lines[3])
    assert len(lines) < 12


def test_a_sick_model_gets_1_and_the_line_to_blame(folder: Path) -> None:
    done = gradcheck("scan", "sick.py", cwd=folder)
    assert done.returncode == 1
    assert "error GC501 nonfinite-forward" in done.stdout
    assert re.search(r"\n  where +sick\.py:\d+  ", done.stdout)


def test_a_rule_that_is_ignored_or_only_a_note_fails_no_scan(folder: Path) -> None:
    assert gradcheck("scan", "sick.py", "--ignore", "GC5,nonfinite-input", cwd=folder).returncode == 0
    (folder / "pyproject.toml").write_text('[tool.gradcheck.rules.nonfinite-forward]\nseverity = "note"\n')
    done = gradcheck("scan", "sick.py", cwd=folder)
    assert done.returncode == 0
    assert "note GC501" in done.stdout


def test_a_misspelt_rule_in_a_file_is_found_before_the_scan_and_names_the_file(folder: Path) -> None:
    file = folder / "pyproject.toml"
    file.write_text("[tool.gradcheck.rules.GC101]\nmost-decades = 3\n")
    done = gradcheck("scan", "well.py", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error E674: GC101 has no limit 'most-decades'\n  at    {file}\n")
    assert "built" not in done.stderr


def test_json_is_complete_valid_and_the_same_every_time(folder: Path) -> None:
    command = ("scan", "sick.py", "--format", "json", "-q", "--try-budget", "100")  # enough time, whatever the machine
    first, second = (gradcheck(*command, cwd=folder).stdout for _ in range(2))
    assert first == second
    document = json.loads(first)
    jsonschema.validate(document, SCHEMA)
    assert to_dict(from_dict(Report, document)) == document
    assert document["settings"]["seed"] == 0
    assert str(folder) not in first
    assert str(Path(__file__).parents[2]) not in first  # nor where the tool itself is


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scan", "nowhere.py"], "error E101: "),
        (["scan", "well.py", "--select", "GC999"], "error E678: "),
        (["scan", "well.py", "--seed", "x"], "error E675: "),
        (["explain", "vanishing-gradients"], "error E678: no rule is called `vanishing-gradients`"),
        (["rules", "--format", "xml"], "error E675: --format cannot be 'xml'"),
        (["scan", "well.py", "--sed", "1"], "Usage: gradcheck scan"),
        (["scan"], "error E681: nothing to scan"),
        (["scna", "well.py"], "Usage: gradcheck"),
    ],
)
def test_what_gives_no_verdict_exits_with_2_and_no_traceback(folder: Path, arguments: list[str], said: str) -> None:
    done = gradcheck(*arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "id", "why"),
    [
        (["--sed", "1"], "E673", "No such option: --sed"),
        (["--seed", "x"], "E675", "it takes a whole number"),
        (["--select", "GC999"], "E678", ""),
        (["-o", "well.py"], "E680", "the scan reads this file"),
    ],
)
def test_what_cannot_begin_leaves_a_document_too(folder: Path, arguments: list[str], id: str, why: str) -> None:
    done = gradcheck("scan", "well.py", *arguments, "--format", "json", cwd=folder)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["id"]) == (2, id)
    assert why in error["why"]
    assert (folder / "well.py").read_text() == WELL


@pytest.mark.parametrize(("given", "env"), [(["--output-format=json"], {}), ([], {"GRADCHECK_FORMAT": "json"})])
def test_however_the_document_is_asked_for(folder: Path, given: list[str], env: dict[str, str]) -> None:
    assert json.loads(gradcheck("scan", *given, cwd=folder, env=env).stdout)["error"]["id"] == "E681"


def test_the_line_to_blame_is_shown_wherever_the_file_runs(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    shown = gradcheck("scan", "sick.py", "--cwd", "elsewhere", "--no-try", cwd=folder).stdout
    assert re.search(r"\n  where +sick\.py:8  return x\.sqrt\(\)\n", shown), shown


def test_the_nearest_rule_is_suggested(folder: Path) -> None:
    assert "did you mean `vanishing-gradient`?" in gradcheck("explain", "vanishing-gradients", cwd=folder).stderr


def test_version_names_what_a_report_depends_on(folder: Path) -> None:
    assert re.fullmatch(
        r"gradcheck \d+\.\d+\.\d+ · Python 3\.\d+\.\d+ · torch \S+\n", gradcheck("--version", cwd=folder).stdout
    )


def test_explain_and_rules_in_json(folder: Path) -> None:
    rule = json.loads(gradcheck("explain", "gc101", "--format", "json", cwd=folder).stdout)
    assert (rule["code"], rule["name"]) == ("GC101", "vanishing-gradient")
    assert all({"name", "value", "unit", "source"} <= limit.keys() for limit in rule["limits"])
    listed = json.loads(gradcheck("rules", "--format", "json", cwd=folder).stdout)
    assert [r["code"] for r in listed] == sorted(r["code"] for r in listed)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_there_under_both_names(folder: Path, flag: str) -> None:
    done = subprocess.run([str(GRADCHECK), flag], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "If you would not run" in done.stdout
