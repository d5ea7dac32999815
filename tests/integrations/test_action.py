"""The GitHub action: held against GitHub's schema, and its scripts run as the runner runs them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from recipes import CANNED, EXIT_CODES, ROOT, environment, project, shell

ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
INSTALL, SCAN = ACTION["runs"]["steps"]


class Runner:
    """A runner of GitHub's: it fills in the expressions in a step's `env`, and gives it files for outputs and summary."""

    def __init__(self, folder: Path, model: str = CANNED["healthy"], settings: str = 'targets = ["model.py"]') -> None:
        self.project = project(folder / "project", model, settings)
        self.files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in self.files.values():
            file.touch()
        self.temporary = folder / "temporary"
        self.temporary.mkdir()

    def run(self, step: dict[str, object], **inputs: str) -> subprocess.CompletedProcess[str]:
        given = {name: str(about.get("default", "")) for name, about in ACTION["inputs"].items()}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        values = {f"inputs.{name}": value for name, value in given.items()} | {"github.action_path": "/actions/gradcheck"}
        env = {name: re.sub(r"\$\{\{ (\S+) \}\}", lambda m: values[m[1]], text) for name, text in step["env"].items()}
        own = {name: str(file) for name, file in self.files.items()} | {"RUNNER_TEMP": str(self.temporary)}
        return shell(step["run"], self.project, environment(self.project, **own, **env))

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.files["GITHUB_OUTPUT"].read_text("utf-8").splitlines())

    @property
    def summary(self) -> str:
        return self.files["GITHUB_STEP_SUMMARY"].read_text("utf-8")


def test_it_is_what_githubs_schema_describes() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", str(ROOT / "action.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_input_becomes_a_part_of_a_script_and_nothing_is_fetched_but_gradcheck() -> None:
    for step in (INSTALL, SCAN):
        assert "${{" not in step["run"]
        assert "uses" not in step
    passed = {name for step in (INSTALL, SCAN) for name in re.findall(r"inputs\.([\w-]+)", " ".join(step["env"].values()))}
    assert passed == set(ACTION["inputs"])
    written = set(re.findall(r'echo "([\w-]+)=', SCAN["run"]))
    assert {f"${{{{ steps.scan.outputs.{name} }}}}" for name in written} == {out["value"] for out in ACTION["outputs"].values()}


@pytest.mark.parametrize(
    ("version", "installed"),
    [("", "/actions/gradcheck"), ("0.1.0", "gradcheck==0.1.0"), ("1 $(touch pwned); touch pwned", None)],
)
def test_it_installs_the_wanted_version_or_its_own(tmp_path: Path, version: str, installed: str | None) -> None:
    runner = Runner(tmp_path)
    python = tmp_path / "my python"
    python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/asked"\n', "utf-8")
    python.chmod(0o755)
    assert runner.run(INSTALL, version=version, python=str(python)).returncode == 0
    asked = (tmp_path / "asked").read_text("utf-8").splitlines()
    assert asked == ["-m", "pip", "install", "--quiet", "--", installed or f"gradcheck=={version}"]
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("model", CANNED)
def test_a_scan_annotates_reports_and_ends_as_the_command_does(tmp_path: Path, model: str) -> None:
    runner = Runner(tmp_path, CANNED[model])
    done = runner.run(SCAN, target="model.py", sarif_file="gradcheck.sarif")
    assert done.returncode == EXIT_CODES[model], done.stderr
    assert runner.outputs["exit-code"] == str(EXIT_CODES[model])
    assert runner.outputs["findings"] == {"healthy": "0", "sick": "2", "broken": ""}[model]
    report = json.loads(Path(runner.outputs["report"]).read_text("utf-8"))
    sarif = json.loads((runner.project / "gradcheck.sarif").read_text("utf-8"))
    assert sarif["version"] == "2.1.0"
    annotations = [line for line in done.stdout.splitlines() if line.startswith("::")]
    if model == "healthy":
        assert annotations == []
    if model == "sick":
        assert annotations[0].startswith("::error file=examples/deep.py,line=15,title=gradcheck (GC101 vanishing-gradient)::")
        assert {result["ruleId"] for result in sarif["runs"][0]["results"]} == {"GC101", "GC202"}
        assert "GC101" in runner.summary
    if model == "broken":
        assert annotations[0].startswith(
            "::error file=model.py,line=2,title=gradcheck (E561)::no verdict: the forward pass failed"
        )
        assert report["error"]["id"] == "E561"
    else:
        assert report["findings"] == [] or model == "sick"
        assert "gradcheck" in runner.summary


def test_inputs_reach_the_command(tmp_path: Path) -> None:
    runner = Runner(tmp_path, CANNED["sick"])
    (runner.project / "other model.py").write_text(CANNED["sick"], "utf-8")
    done = runner.run(
        SCAN,
        target="  model.py\n\n other model.py \n",
        args="--no-try\n  --timeout 60 -- --epochs 3",
        fail_on="warning",
        summary="false",
        python=sys.executable,
    )
    assert done.returncode == 1, done.stderr
    report = json.loads(Path(runner.outputs["report"]).read_text("utf-8"))
    assert [scan["target"] for scan in report["scans"]] == ["model.py", "other model.py"]
    assert runner.outputs["findings"] == "4"
    assert runner.summary == ""


def test_without_a_target_the_settings_say_what_is_scanned(tmp_path: Path) -> None:
    assert Runner(tmp_path, CANNED["sick"]).run(SCAN).returncode == 1


def test_with_nothing_to_scan_there_is_no_verdict(tmp_path: Path) -> None:
    runner = Runner(tmp_path, settings="")
    done = runner.run(SCAN)
    assert done.returncode == 2
    assert "::error title=gradcheck (E681)::no verdict: nothing to scan" in done.stdout
    assert runner.outputs == {"exit-code": "2"}


HOSTILE = "$(touch pwned)\n`touch pwned`\n; touch pwned;\nx' || touch pwned '\n\" & touch pwned \"\n*\n"


@pytest.mark.parametrize("name", ["target", "args", "fail_on"])
def test_hostile_inputs_are_words_and_no_commands(tmp_path: Path, name: str) -> None:
    done = Runner(tmp_path).run(SCAN, **{"target": "model.py", name: HOSTILE})
    assert done.returncode == 2
    assert "::error " in done.stdout
    assert not list(tmp_path.rglob("pwned"))


def test_a_hostile_name_of_a_file_is_a_name(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    name = "$(touch pwned)`touch pwned`\"' & touch pwned"
    assert runner.run(SCAN, target="model.py", sarif_file=name).returncode == 0
    assert (runner.project / name).exists()
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize(("inputs", "said"), [({"target": "--exit-zero"}, "a dash"), ({"summary": "yes"}, "true or false")])
def test_inputs_that_cannot_be_meant_are_refused(tmp_path: Path, inputs: dict[str, str], said: str) -> None:
    runner = Runner(tmp_path, CANNED["sick"])
    done = runner.run(SCAN, **{"target": "model.py", **inputs})
    assert done.returncode == 2
    assert re.fullmatch(rf"::error title=gradcheck::input \w+: .*{said}.*\n", done.stdout)
    assert runner.outputs == {"exit-code": "2"}
