"""The pytest plugin with models that are really measured: the command behind --gradcheck, and the fixture."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pytest_runs import configure, outcomes

pytestmark = pytest.mark.slow

pytest_plugins = "pytester"

SIGMOIDS = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(*[layer for _ in range(12) for layer in (nn.Linear(8, 8), nn.Sigmoid())])
x, y = torch.randn(16, 8), torch.rand(16, 8)
loss_fn = nn.MSELoss()
"""


def test_the_real_command_runs_and_the_baseline_of_the_project_holds(pytester: pytest.Pytester) -> None:
    pytester.mkdir(".git")
    pytester.makepyfile(model=SIGMOIDS)
    configure(pytester, 'targets = ["model.py"]', "no-try = true")
    sick = pytester.runpytest_subprocess("--gradcheck")
    assert sick.ret == pytest.ExitCode.TESTS_FAILED
    sick.stdout.fnmatch_lines(["error GC101 vanishing-gradient*", "  where      model.py:5*"])
    written = [sys.executable, "-m", "gradcheck_cli", "baseline", "write"]
    subprocess.run(written, cwd=pytester.path, check=True, capture_output=True)
    configure(pytester, 'targets = ["model.py"]', "no-try = true", 'baseline = "gradcheck-baseline.json"')
    known = pytester.runpytest_subprocess("--gradcheck", "-rP")
    assert known.ret == pytest.ExitCode.OK
    known.stdout.fnmatch_lines(["verdict*accepted*"])


def test_the_fixture_fails_with_the_report_and_without_frames_of_ours(pytester: pytest.Pytester) -> None:
    checks = """
import pytest
from torch import nn
from gradcheck_cli import assert_healthy

def fine(): return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
def wrong(): return nn.Sequential(nn.Linear(8, 4), nn.Linear(8, 8))

def test_healthy(gradient_health):
    report = gradient_health(fine(), (x, y), loss_fn)
    assert report.target == "Sequential"
    assert not [f for f in report.findings if f.severity == "error"]

def test_sick(gradient_health):
    gradient_health(model, (x, y), loss_fn, no_try=True)  # this line

def test_sick_without_fixture():
    assert_healthy(model, (x, y), loss_fn, no_try=True)  # that line

def test_selected(gradient_health):
    gradient_health(model, (x, y), loss_fn, no_try=True, select=("GC6",))

def test_no_verdict(gradient_health):
    gradient_health(wrong(), (x, y), loss_fn)  # the third line
"""
    pytester.makepyfile(test_models=SIGMOIDS + checks)
    result = pytester.runpytest("-rA")
    names = {name.removeprefix("test_models.py::test_"): how for name, how in outcomes(result).items()}
    assert names == {
        "healthy": "PASSED",
        "sick": "FAILED",
        "sick_without_fixture": "FAILED",
        "selected": "PASSED",
        "no_verdict": "FAILED",
    }
    text = str(result.stdout)
    for place in ("api.py", "pytest_plugin.py", "pipeline.py", "assembly.py"):
        assert place not in text
    result.stdout.fnmatch_lines(
        [
            "> *# this line",
            "E *AssertionError: Sequential · Sequential*",
            "E *verdict   sick: vanishing-gradient (error)*",
            "> *# that line",
            "E *AssertionError: Sequential*",
            "> *# the third line",
            "E *GradcheckError: E340 `1` (Linear) expects 8 features and got 4",
            "E *either the input has another size*",
        ]
    )
