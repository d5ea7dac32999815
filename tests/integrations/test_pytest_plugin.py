"""The pytest plugin, in runs of pytest of their own. Where nothing hangs on what is measured, the pipeline is stood in for."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from pytest_runs import configure, outcomes

pytest_plugins = "pytester"

STAND_IN = Path(__file__).parents[1] / "cli" / "stand_in"
HEALTHY = "from canned_reports import healthy\ndef scan(settings):\n    return healthy()\n"
SICK = "from canned_reports import sick\ndef scan(settings):\n    print('::error::print')\n    return sick()\n"
BROKEN = """
from gradcheck_cli.errors import GradcheckError
def scan(settings):
    print("before")
    raise GradcheckError("E561", "the forward pass failed", "shapes differ", "mend it", where="models/broken.py:7")
"""
MODELS = {"healthy": HEALTHY, "sick": SICK, "broken": BROKEN}


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of three models and one test, whose scans are stood in for."""
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    pytester.mkdir("models")
    pytester.mkdir(".git")
    for name, code in MODELS.items():
        (pytester.path / "models" / f"{name}.py").write_text(code, "utf-8")
    pytester.makepyfile(test_own="def test_own(): pass")
    configure(pytester, 'targets = ["models/healthy.py", "models/sick.py", "models/broken.py"]')
    return pytester


def test_importing_it_loads_nothing_that_every_run_of_pytest_would_wait_for() -> None:
    code = """
import gradcheck_cli.integrations.pytest_plugin, sys
slow = {'torch', 'numpy', 'rich', 'typer', 'yaml', 'gradcheck_cli.records'} & sys.modules.keys()
assert not slow, slow
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_without_the_option_loads_nothing_either_and_scans_nothing(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_own="def test_own():\n    import sys\n    assert not {'torch', 'numpy', 'rich'} & sys.modules.keys()"
    )
    result = project.runpytest_subprocess("-v")
    result.stdout.fnmatch_lines(["plugins:*gradcheck-*"])
    assert outcomes(result) == {"test_own.py::test_own": "PASSED"}


def test_each_target_is_a_test_that_fails_with_the_report_and_errs_without_a_verdict(project: pytest.Pytester) -> None:
    result = project.runpytest("--gradcheck", "-vv", "--junitxml=junit.xml", "-o", "junit_family=xunit1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*collected 4 items"])
    assert outcomes(result) == {
        "test_own.py::test_own": "PASSED",
        "gradcheck::models/healthy.py": "PASSED",
        "gradcheck::models/sick.py": "FAILED",
        "gradcheck::models/broken.py": "ERROR",
    }
    result.stdout.fnmatch_lines(
        [
            "gradcheck::models/sick.py <- models/sick.py FAILED*",
            "*ERROR at setup of gradient health of models/broken.py*",
            "  E561    the forward pass failed",
            "  at      models/broken.py:7",
            "  why     shapes differ",
            "  hint    mend it",
            "*Captured stderr setup*",
            "| before",
            "*gradient health of models/sick.py*",
            "error GC101 vanishing-gradient  the gradient shrinks*",
            "  where      examples/deep.py:15*",
            "*Captured stderr setup*",
            "| \\x3a:error::print",
            "FAILED gradcheck::models/sick.py - sick: vanishing-gradient (error), saturation (warning)",
            "ERROR gradcheck::models/broken.py - no verdict: E561 the forward pass failed",
            "*1 failed, 2 passed, 1 error*",
        ],
        consecutive=False,
    )
    assert str(result.stdout).count("error GC101 vanishing-gradient") == 1  # -vv shows the whole message in the summary
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")
    assert str(result.stdout).count("E561: ") == 0  # what the child said on stderr is not said twice
    cases = {case.get("name"): case for case in ET.parse(project.path / "junit.xml").iter("testcase")}
    sick, broken = cases["models/sick.py"], cases["models/broken.py"]
    assert (sick.get("classname"), sick.get("file")) == ("gradcheck", "models/sick.py")
    assert "GC101" in str(sick.findtext("failure"))
    assert "E561" in str(broken.findtext("error"))
    assert [child.tag for child in cases["models/healthy.py"]] == []


def test_the_report_of_a_healthy_model_can_be_read(project: pytest.Pytester) -> None:
    result = project.runpytest("-rP", "gradcheck::models/healthy.py")
    result.stdout.fnmatch_lines(["*gradient health of models/healthy.py*", "verdict   healthy: nothing found"])


@pytest.mark.parametrize(
    ("arguments", "run", "code"),
    [
        (("-m", "gradcheck"), ["healthy", "sick", "broken"], 1),
        (("-m", "not gradcheck"), [], 0),
        (("-k", "healthy.py"), ["healthy"], 0),
        (("-x", "-k", "sick or broken"), ["sick"], 1),
        (("--deselect", "gradcheck::models/sick.py", "-k", "healthy or sick"), ["healthy"], 0),
    ],
)
def test_targets_are_chosen_as_tests_are(
    project: pytest.Pytester, arguments: tuple[str, ...], run: list[str], code: int
) -> None:
    result = project.runpytest("--gradcheck", "-v", *arguments)
    names = {f"gradcheck::models/{name}.py" for name in run}
    assert {name for name in outcomes(result) if name.startswith("gradcheck::")} == names
    assert result.ret == code


def test_they_are_listed_without_being_scanned(project: pytest.Pytester) -> None:
    (project.path / "models" / "sick.py").write_text("open('ran', 'w')", "utf-8")
    result = project.runpytest("--gradcheck", "--collect-only", "-q")
    assert result.outlines[:4] == [
        "test_own.py::test_own",
        "gradcheck::models/healthy.py",
        "gradcheck::models/sick.py",
        "gradcheck::models/broken.py",
    ]
    assert result.ret == pytest.ExitCode.OK
    assert not (project.path / "ran").exists()


def test_two_processes_share_the_targets(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess("--gradcheck", "-n", "2", "-rA")
    assert outcomes(result)["gradcheck::models/sick.py"] == "FAILED"
    assert outcomes(result)["gradcheck::models/broken.py"] == "ERROR"
    result.assert_outcomes(passed=2, failed=1, errors=1)


def test_a_file_named_on_the_command_line_limits_the_tests_and_not_the_models(project: pytest.Pytester) -> None:
    project.makepyfile(test_other="def test_other(): pass")
    result = project.runpytest("--gradcheck", "-v", "-k", "not sick and not broken", "test_other.py")
    assert outcomes(result) == {"test_other.py::test_other": "PASSED", "gradcheck::models/healthy.py": "PASSED"}


def test_a_node_id_runs_that_model_alone_and_last_failed_finds_it_again(project: pytest.Pytester) -> None:
    result = project.runpytest("-v", "gradcheck::models/sick.py")
    assert outcomes(result) == {"gradcheck::models/sick.py": "FAILED"}
    again = project.runpytest("-v", "--gradcheck", "--last-failed")
    assert outcomes(again) == {"gradcheck::models/sick.py": "FAILED"}


def test_a_run_of_models_alone_is_no_empty_run(project: pytest.Pytester) -> None:
    (project.path / "test_own.py").unlink()
    assert project.runpytest("--gradcheck-target", "models/healthy.py").ret == pytest.ExitCode.OK


def test_targets_given_in_a_subfolder_are_named_from_the_root(project: pytest.Pytester) -> None:
    command = [sys.executable, "-m", "pytest", "-v", "--rootdir", str(project.path)]
    command += ["--gradcheck-target", "healthy.py", "--gradcheck-target", "./healthy.py"]
    command += ["--gradcheck-target", "sick.py:net", "--gradcheck-target", "package.module:net"]
    done = subprocess.run(command, cwd=project.path / "models", capture_output=True, text=True, check=False)
    names = re.findall(r"^(\S+::\S+) ", done.stdout, re.MULTILINE)
    assert names == [f"../gradcheck::{name}" for name in ("models/healthy.py", "models/sick.py:net", "package.module:net")]
    done = subprocess.run([*command[:6], names[0]], cwd=project.path / "models", capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout


def test_nothing_to_scan_is_a_usage_error_that_says_what_to_do(project: pytest.Pytester) -> None:
    configure(project)
    result = project.runpytest("--gradcheck")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --gradcheck has nothing to scan: *pyproject.toml*--gradcheck-target model.py"])


def test_a_mistake_in_the_configuration_is_a_usage_error_with_its_line(project: pytest.Pytester) -> None:
    configure(project, 'target = ["model.py"]')
    result = project.runpytest("--gradcheck")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: pyproject.toml:2: *did you mean `targets`*(E674)"])


def test_without_the_plugin_nothing_of_it_is_left(project: pytest.Pytester) -> None:
    assert project.runpytest_subprocess("-p", "no:gradcheck").ret == pytest.ExitCode.OK
    assert project.runpytest_subprocess("-p", "no:gradcheck", "--gradcheck").ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("setting", "model", "code"),
    [
        ('fail-on = "warning"', "warned", 1),
        ('fail-on = "error"', "warned", 0),
        ("exit-zero = true", "sick", 0),
        ('fail-on = "warning"', "unused", 0),
        ('statistics = true\nformat = "markdown"\noutput-file = ["out.md"]', "sick", 1),
    ],
)
def test_settings_of_the_project_hold(project: pytest.Pytester, setting: str, model: str, code: int) -> None:
    """An unused suppression, GC901, fails nothing: another target may need it, which the scan of one cannot know."""
    chosen = "f.severity == 'warning'" if model == "warned" else "f.code == 'GC901'"
    filtered = f"""
import dataclasses
from canned_reports import sick
def scan(settings):
    one = sick()
    unused = dataclasses.replace(one.findings[1], code="GC901")
    found = tuple(f for f in (*one.findings, unused) if {chosen})
    return dataclasses.replace(one, findings=found, settings={{"fail_on": settings.fail_on}})
"""
    if model != "sick":
        (project.path / "models" / f"{model}.py").write_text(filtered, "utf-8")
    configure(project, f'targets = ["models/{model}.py"]', setting)
    result = project.runpytest("--gradcheck", "-m", "gradcheck")
    assert result.ret == code
    assert not (project.path / "out.md").exists()
    if model == "sick" and code:
        result.stdout.fnmatch_lines(["error GC101 vanishing-gradient*"])
