"""The pre-commit hook, run by pre-commit in repositories of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from recipes import ROOT, environment, project

pytestmark = pytest.mark.slow

MANIFEST = ROOT / ".pre-commit-hooks.yaml"
EXAMPLE = ROOT / "docs" / "ci" / "pre-commit-config.yaml"
MODEL = """import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(
    nn.Linear(8, 8),
    *[layer for _ in range(12) for layer in (nn.{activation}(), nn.Linear(8, 8))],
)
{initialise}
x, y = torch.randn(16, 8), torch.rand(16, 8)
loss_fn = nn.MSELoss()
"""
SICK = MODEL.format(activation="Sigmoid", initialise="")
HE = "[nn.init.kaiming_normal_(layer.weight) for layer in model if isinstance(layer, nn.Linear)]"
HEALTHY = MODEL.format(activation="ReLU", initialise=HE)


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def pre_commit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = environment(folder, stand_in=False, PRE_COMMIT_HOME=str(folder.parent / "cache"), GRADCHECK_NO_TRY="1")
    command = [sys.executable, "-m", "pre_commit", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, encoding="utf-8", check=False)


def test_the_manifest_and_the_example_are_what_pre_commit_accepts(tmp_path: Path) -> None:
    assert pre_commit(tmp_path, "validate-manifest", str(MANIFEST)).returncode == 0
    assert pre_commit(tmp_path, "validate-config", str(EXAMPLE)).returncode == 0


def test_the_example_is_the_hook_of_the_manifest() -> None:
    hook = yaml.safe_load(MANIFEST.read_text("utf-8"))[0]
    example = yaml.safe_load(EXAMPLE.read_text("utf-8"))["repos"][0]["hooks"][0]
    assert example == {name: hook[name] for name in example}
    assert hook.keys() - example.keys() == {"description", "minimum_pre_commit_version"}


@pytest.mark.parametrize("source", ["manifest", "example"])
def test_a_push_with_a_sick_model_is_stopped_with_the_line_of_its_layer(tmp_path: Path, source: str) -> None:
    folder = project(tmp_path / "project", SICK)
    if source == "example":
        config = EXAMPLE.read_text("utf-8")
    else:
        hooks = tmp_path / "hooks"
        hooks.mkdir()
        git(hooks, "init", "-q")
        (hooks / MANIFEST.name).write_text(MANIFEST.read_text("utf-8"), "utf-8")
        git(hooks, "add", "-A")
        git(hooks, "commit", "-qm", "hooks")
        config = f"repos: [{{repo: '{hooks}', rev: {git(hooks, 'rev-parse', 'HEAD')}, hooks: [id: gradcheck]}}]\n"
    (folder / ".pre-commit-config.yaml").write_text(config, "utf-8")
    git(folder, "add", "-A")
    stopped = pre_commit(folder, "run", "--all-files", "--hook-stage", "pre-push")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert "error GC101 vanishing-gradient" in stopped.stdout
    assert "where      model.py:7" in stopped.stdout

    if source == "manifest":
        return
    (folder / "model.py").write_text(HEALTHY, "utf-8")
    git(folder, "add", "-A")
    passed = pre_commit(folder, "run", "--all-files", "--hook-stage", "manual")
    assert passed.returncode == 0, passed.stdout
    assert "Passed" in passed.stdout


def test_a_commit_is_not_held_up_and_other_files_are_no_reason_to_scan(tmp_path: Path) -> None:
    folder = project(tmp_path / "project", "raise SystemExit('scanned')")
    (folder / "README.md").write_text("words", "utf-8")
    (folder / ".pre-commit-config.yaml").write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    git(folder, "add", "-A")
    assert pre_commit(folder, "run", "--all-files").returncode == 0
    skipped = pre_commit(folder, "run", "--files", "README.md", "--hook-stage", "pre-push")
    assert "(no files to check)Skipped" in skipped.stdout
    assert pre_commit(folder, "run", "--files", "pyproject.toml", "--hook-stage", "pre-push").returncode == 1
