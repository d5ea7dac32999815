"""docs/ci.md and docs/ci/: every file is held against its schema, and what it runs is run as a CI would."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from recipes import CANNED, EXIT_CODES, ROOT, blocks, environment, project, shell, without_pip
from test_documentation import matches

PAGE = "docs/ci.md"
EXAMPLES = sorted(file.name for file in (ROOT / "docs" / "ci").iterdir())
SCHEMAS = {"github": "github-workflows", "gitlab": "gitlab-ci"}
INSTALLED = ["install", "-r", "requirements.txt", "gradcheck"]
MENDED = """
for module in model.modules():
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(module.bias)
"""


def example(name: str) -> dict[str, object]:
    return yaml.safe_load((ROOT / "docs" / "ci" / name).read_text("utf-8"))


def steps(name: str) -> list[dict[str, object]]:
    (job,) = example(name)["jobs"].values()
    return job["steps"]


def scripts(name: str) -> list[str]:
    return [step["run"] for step in steps(name) if "run" in step]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_shows_each_file_as_it_is(name: str) -> None:
    assert blocks(PAGE, f"docs/ci/{name}", "yaml") == [(ROOT / "docs" / "ci" / name).read_text("utf-8")]


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name.partition("-")[0].partition(".")[0] in SCHEMAS])
def test_each_file_is_what_its_schema_describes(name: str) -> None:
    schema = SCHEMAS[re.split("[-.]", name)[0]]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", f"docs/ci/{name}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("model", CANNED)
def test_the_workflow_for_github(tmp_path: Path, model: str) -> None:
    folder = project(tmp_path / "project", CANNED[model])
    summary = tmp_path / "summary"
    env = without_pip(tmp_path / "bin", environment(folder, GITHUB_STEP_SUMMARY=str(summary)))
    install, scan = scripts("github.yml")
    assert shell(install, folder, env, ("bash", "-e")).returncode == 0
    assert (tmp_path / "bin" / "asked").read_text("utf-8").split() == INSTALLED
    done = shell(scan, folder, env, ("bash", "-e"))
    assert done.returncode == EXIT_CODES[model], done.stderr
    assert ("::error file=" in done.stdout) == (model != "healthy")
    upload = steps("github.yml")[-1]
    sarif = json.loads((folder / upload["with"]["sarif_file"]).read_text("utf-8"))
    assert bool(sarif["runs"][0].get("results")) == (model == "sick")
    assert f"hashFiles('{upload['with']['sarif_file']}')" in upload["if"]
    assert summary.exists() == (model != "broken")


def test_the_action_is_called_with_inputs_that_it_has_and_asked_for_outputs_that_it_has() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    text = (ROOT / "docs" / "ci" / "github-action.yml").read_text("utf-8")
    (call,) = [step for step in steps("github-action.yml") if "gradcheck" in str(step.get("uses"))]
    assert call["with"].keys() <= action["inputs"].keys()
    asked = re.findall(rf"steps\.{call['id']}\.outputs\.([\w-]+)", text)
    assert asked
    assert set(asked) <= action["outputs"].keys()


@pytest.mark.parametrize(("now", "code"), [("healthy", 0), ("sick", 1), ("broken", 2)])
def test_the_comparison_with_the_target_branch(tmp_path: Path, now: str, code: int) -> None:
    folder = project(tmp_path / "project", CANNED["healthy"])
    for command in ("add -A", "-c user.name=A -c user.email=a@example.org commit -qm base"):
        subprocess.run(["git", "-C", str(folder), *command.split()], check=True)
    base = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    (folder / "model.py").write_text(CANNED[now], "utf-8")
    *_, step = steps("github-compare.yml")
    assert step["env"] == {"BASE": "${{ github.event.pull_request.base.sha }}"}
    summary = tmp_path / "summary"
    env = environment(folder, BASE=base.strip(), RUNNER_TEMP=str(tmp_path / "runner"), GITHUB_STEP_SUMMARY=str(summary))
    (tmp_path / "runner").mkdir()
    done = shell(step["run"], folder, env, ("bash", "-e"))
    assert done.returncode == code, done.stderr
    if code == 1:
        assert summary.read_text("utf-8").startswith("### `examples/deep.py`: worse\n")
        assert "regression: " in done.stderr


@pytest.mark.parametrize("model", CANNED)
def test_the_job_for_gitlab(tmp_path: Path, model: str) -> None:
    folder = project(tmp_path / "project", CANNED[model])
    env = without_pip(tmp_path / "bin", environment(folder))
    job = example("gitlab-ci.yml")["gradcheck"]
    done = shell("\n".join(job["script"]), folder, env)
    assert (tmp_path / "bin" / "asked").read_text("utf-8").split() == INSTALLED
    assert done.returncode == EXIT_CODES[model], done.stderr
    quality = json.loads((folder / job["artifacts"]["reports"]["codequality"]).read_text("utf-8"))
    tests = ET.parse(folder / job["artifacts"]["reports"]["junit"])
    assert bool(quality) == (model != "healthy")
    assert {"healthy": None, "sick": "failure", "broken": "error"}[model] in {None, *(e.tag for e in tests.iter())}
    assert ("GC101" in done.stdout) == (model == "sick")


def transcript(folder: Path, mark: str, number: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command that a block shows, and compare what it prints, on both streams, with what stands below it."""
    command, *shown = blocks(PAGE, mark, "console")[number].splitlines()
    env = environment(folder, stand_in=False, GRADCHECK_NO_TRY="1")
    done = shell(f"{command.removeprefix('$ ')} 2>&1", folder, env)
    assert matches(shown, done.stdout.replace(f"{folder}/", "").splitlines()), done.stdout
    return done


def test_the_way_from_a_first_baseline_to_an_empty_one(tmp_path: Path) -> None:
    first, second = blocks(PAGE, "settings", "toml")
    folder = project(tmp_path / "project", (ROOT / "sample_models" / "deep_sigmoid_mlp.py").read_text("utf-8"))
    (folder / "pyproject.toml").write_text(first, "utf-8")
    assert transcript(folder, "baseline").returncode == 0
    (folder / "pyproject.toml").write_text(first + second, "utf-8")
    assert transcript(folder, "baseline", 1).returncode == 0

    mended = (folder / "model.py").read_text("utf-8").replace("nn.Sigmoid()", "nn.ReLU()") + MENDED
    (folder / "model.py").write_text(mended, "utf-8")
    assert transcript(folder, "mended").returncode == 0
    assert json.loads((folder / "gradcheck-baseline.json").read_text("utf-8"))["findings"] == []


def scanned(folder: Path) -> tuple[int, dict[str, object]]:
    script = "gradcheck scan --no-try --format json -o report.json"
    done = shell(script, folder, environment(folder, stand_in=False))
    return done.returncode, json.loads((folder / "report.json").read_text("utf-8"))


def test_a_comment_and_a_pattern_accept_what_would_fail_without_them(tmp_path: Path) -> None:
    (commented,) = blocks(PAGE, "comment", "python")
    (settings,) = blocks(PAGE, "per-layer", "toml")
    code, report = scanned(project(tmp_path / "comment" / "project", commented))
    assert code == 0
    assert [(s["by"], s["finding"]["code"]) for s in report["suppressed"]] == [("comment", "GC101")]
    assert report["suppressed"][0]["reason"] == "kept as in the paper"
    assert report["findings"] == []

    plain = commented.replace("  # gradcheck: ignore[GC101] kept as in the paper", "")
    folder = project(tmp_path / "pattern" / "project", plain.replace("model =", "backbone ="))
    with (folder / "model.py").open("a", encoding="utf-8") as file:
        file.write('model = nn.Sequential()\nmodel.add_module("backbone", backbone)\n')
    assert scanned(folder)[0] == 1
    (folder / "pyproject.toml").write_text(settings, "utf-8")
    code, report = scanned(folder)
    assert code == 0
    assert [(s["by"], s["finding"]["code"]) for s in report["suppressed"]] == [("setting", "GC101")]


def test_the_exit_codes_of_the_page_are_those_of_the_command(tmp_path: Path) -> None:
    table = dict(re.findall(r"^\| (\d+) \| .* \| (passes|fails) \|$", (ROOT / PAGE).read_text("utf-8"), re.MULTILINE))
    assert table == {"0": "passes", "1": "fails", "2": "fails", "130": "fails"}
    folder = project(tmp_path / "project", CANNED["broken"])
    assert shell("gradcheck scan --exit-zero", folder, environment(folder)).returncode == 2
    (folder / "model.py").write_text(CANNED["sick"], "utf-8")
    assert shell("gradcheck scan --exit-zero", folder, environment(folder)).returncode == 0
