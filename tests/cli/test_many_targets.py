"""Several targets in one run: one report, the worst exit code, and none that hides another's result."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command import GRADCHECK, STAND_IN, environment, gradcheck
from test_worker import HEALTHY, SICK, doing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "sick.py").write_text(SICK)
    (tmp_path / "well.py").write_text(HEALTHY)
    (tmp_path / "bad.py").write_text(doing("print('from bad'); os._exit(1)"))
    return tmp_path


def scan(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return gradcheck("scan", *arguments, cwd=folder, stand_in=True, env=env)


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize(
    ("targets", "code"),
    [
        (["well.py", "well.py"], 0),
        (["well.py", "sick.py"], 1),
        (["sick.py", "bad.py", "well.py"], 2),
        (["well.py", "none.py"], 2),
    ],
)
def test_the_exit_code_is_the_worst(folder: Path, targets: list[str], code: int, jobs: str) -> None:
    done = scan(folder, *targets, "--format", "json", "--jobs", jobs)
    assert done.returncode == code
    scans = json.loads(done.stdout).get("scans")
    if len(set(targets)) > 1:
        assert [s["target"] for s in scans] == targets  # in the order they were given, whichever ended first
    assert scan(folder, *targets, "--exit-zero").returncode == (code if code == 2 else 0)


def test_a_broken_target_hides_no_other(folder: Path) -> None:
    done = scan(folder, "bad.py", "sick.py", "well.py")
    assert "bad.py · no verdict\n  E565" in done.stdout
    assert "error GC101 vanishing-gradient" in done.stdout
    assert done.stdout.count("model untouched") == 2
    overview = done.stdout[done.stdout.index("3 targets\n") :].splitlines()
    assert [line.split()[0] for line in overview[1:]] == ["bad.py", "sick.py", "well.py"]
    assert "no verdict: E565" in overview[1]
    assert "sick: vanishing-gradient (error)" in overview[2]
    assert "healthy: nothing found" in overview[3]
    assert done.stderr.startswith("bad.py| from bad\nerror E565: ")


def test_the_targets_of_the_configuration_are_scanned_where_none_is_given(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "pyproject.toml").write_text('[tool.gradcheck]\ntargets = ["well.py", "sick.py"]\n')
    done = scan(folder, "--format", "json")
    assert [s["target"] for s in json.loads(done.stdout)["scans"]] == ["well.py", "sick.py"]
    below = gradcheck("scan", "--format", "json", cwd=folder / "sub", stand_in=True)
    assert [s["target"] for s in json.loads(below.stdout)["scans"]] == ["../well.py", "../sick.py"]
    assert json.loads(scan(folder, "well.py", "--format", "json").stdout)["profiles"]


@pytest.mark.parametrize("text", ["", "[tool.gradcheck]\nseed = 1\n", "[tool.gradcheck]\ntargets = []\n"])
def test_nothing_to_scan_is_no_verdict(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text)
    done = scan(folder)
    assert done.returncode == 2
    assert done.stderr.startswith("error E681: nothing to scan\n  why   no target is given")
    assert ("pyproject.toml lists no `targets`" in done.stderr) is bool(text)


@pytest.mark.parametrize("value", ['"model.py"', "[1]", '[""]'])
def test_targets_that_are_no_list_of_texts_are_an_error_with_a_line(folder: Path, value: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.gradcheck]\ntargets = {value}\n")
    done = scan(folder)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error E675: `targets` in [tool.gradcheck] must be a list of texts\n  at    pyproject.toml:2\n"
    )


def test_each_target_has_the_settings_of_its_own_project(folder: Path) -> None:
    for name, level in (("a", "note"), ("b", "error")):
        (folder / name).mkdir()
        (folder / name / "pyproject.toml").write_text(f'[tool.gradcheck]\nfail-on = "{level}"\n')
        (folder / name / "model.py").write_text(
            "import dataclasses\nfrom canned_reports import sick\ndef scan(settings):\n"
            "    one = sick()\n    print(settings.fail_on)\n    return dataclasses.replace(one, findings=one.findings[1:])\n"
        )
    assert scan(folder, "b/model.py").returncode == 0
    done = scan(folder, "b/model.py", "a/model.py")
    assert done.returncode == 1
    assert done.stderr == "b/model.py| error\na/model.py| note\n"


def test_a_target_given_twice_is_scanned_once(folder: Path) -> None:
    assert json.loads(scan(folder, "well.py", "well.py", "--format", "json").stdout)["profiles"]


def test_jobs_run_at_the_same_time(folder: Path) -> None:
    """Each waits until the other has begun, so that one after the other would never end."""
    for own, other in (("a", "b"), ("b", "a")):
        (folder / f"{own}.py").write_text(
            doing(
                f"open('{own}.here', 'w'); end = time.time() + 60\n"
                f"    while not os.path.exists('{other}.here') and time.time() < end: time.sleep(0.05)\n"
                f"    print(os.path.exists('{other}.here')); return healthy()"
            )
        )
    done = scan(folder, "a.py", "b.py", "--jobs", "2")
    assert sorted(done.stderr.splitlines()) == ["a.py| True", "b.py| True"]


def test_ctrl_c_ends_all_and_shows_what_is_known(folder: Path) -> None:
    (folder / "slow.py").write_text(doing("print(os.getpid(), flush=True); time.sleep(99)"))
    command = subprocess.Popen(
        [str(GRADCHECK), "scan", "sick.py", "slow.py", "well.py"],
        cwd=folder,
        env=environment(PYTHONPATH=str(STAND_IN)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stderr is not None
    worker = int(command.stderr.readline().removeprefix("slow.py| "))
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "error GC101 vanishing-gradient" in out
    assert "slow.py · no verdict\n  E573" in out
    assert "Traceback" not in err
    assert err.startswith("error E573: interrupted\n  why   1 of 3 targets have a verdict")
    deadline = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()


def test_statistics_count_each_rule_over_all_targets(folder: Path) -> None:
    (folder / "other.py").write_text(SICK)
    done = scan(folder, "sick.py", "other.py", "bad.py", "--statistics")
    assert done.stdout.splitlines() == [
        "2  GC101  error    vanishing-gradient",
        "2  GC202  warning  saturation",
        "1  no verdict",
    ]
    assert scan(folder, "well.py", "--statistics").stdout == ""


def test_show_settings_names_every_value_and_its_origin_and_scans_nothing(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(
        '[tool.gradcheck]\nseed = 7\nper-layer-ignores = {"net.*" = ["GC203"]}\n'
        "[tool.gradcheck.rules.GC101]\nsteady-error = 5\n"
    )
    done = scan(folder, "bad.py", "--show-settings", "--batches", "2", GRADCHECK_LR="0.5")
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert done.stderr == ""
    file = folder / "pyproject.toml"
    assert lines[0] == f"# bad.py (configuration: {file})"
    for line in (
        f"seed = 7  # {file}",
        "batches = 2  # --batches",
        "lr = 0.5  # GRADCHECK_LR",
        'fail-on = "error"  # default',
        "# baseline is not set",
        f'per-layer-ignores = {{"net.*" = ["GC203"]}}  # {file}',
        f'rules.GC101 = {{"steady-error" = 5}}  # {file}',
    ):
        assert line in lines
    import tomllib

    assert tomllib.loads(done.stdout)["tool"]["gradcheck"]["seed"] == 7
