"""Several formats at once: which file belongs to which."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from command import GRADCHECK, STAND_IN, environment, gradcheck
from test_worker import HEALTHY, SICK, doing

from gradcheck_cli.cli.outputs import typed_outputs


@pytest.mark.parametrize(
    ("words", "pairs"),
    [
        ("", []),
        ("--format json", [("json", None)]),
        ("-o x", [(None, "x")]),
        ("--format json -o x", [("json", "x")]),
        ("-o x --format json", [("json", "x")]),
        ("--format sarif -o x --format text", [("sarif", "x"), ("text", None)]),
        ("--format text --format sarif -o x", [("text", None), ("sarif", "x")]),
        ("--format=sarif --output-file=x --output-format=junit -oy", [("sarif", "x"), ("junit", "y")]),
        ("--format sarif,text", [("sarif", None), ("text", None)]),
        ("-qo x --format json", [("json", "x")]),
        ("--format json -o x -o y", [("json", "x"), (None, "y")]),
        ("--format", [("", None)]),
    ],
)
def test_a_file_belongs_to_the_format_before_it_or_the_first_behind(words: str, pairs: list[tuple[str, str]]) -> None:
    assert typed_outputs(["scan", "model.py", *words.split()]) == pairs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "model.py").write_text(SICK)
    (tmp_path / "well.py").write_text(HEALTHY)
    (tmp_path / "bad.py").write_text(doing("os._exit(1)"))
    return tmp_path


def scan(folder: Path, *arguments: str, **env: str):
    return gradcheck("scan", *arguments, cwd=folder, stand_in=True, env=env)


def test_every_format_goes_to_its_place(folder: Path) -> None:
    done = scan(
        folder, "model.py", "--format", "sarif", "-o", "x.sarif", "--format", "text", "--format", "json", "-o", "x.json"
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "error GC101 vanishing-gradient" in done.stdout
    assert json.loads((folder / "x.sarif").read_text())["version"] == "2.1.0"
    assert json.loads((folder / "x.json").read_text())["findings"][0]["code"] == "GC101"


def test_files_alone_leave_a_summary_on_stderr(folder: Path) -> None:
    done = scan(folder, "model.py", "--format", "sarif", "-o", "x.sarif", "--format", "junit", "-o", "x.xml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("report written to x.sarif\nreport written to x.xml\n")


def test_a_file_and_the_environment_pair_by_position(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.gradcheck]\nformat = ["sarif", "text"]\noutput-file = ["x.sarif"]\n')
    done = scan(folder, "model.py")
    assert "error GC101" in done.stdout
    assert (folder / "x.sarif").exists()
    done = scan(folder, "model.py", "--isolated", GRADCHECK_FORMAT="json,text", GRADCHECK_OUTPUT_FILE="y.json")
    assert "error GC101" in done.stdout
    assert json.loads((folder / "y.json").read_text())


def test_a_dash_is_the_screen(folder: Path) -> None:
    done = scan(folder, "model.py", "--format", "json", "-o", "-")
    assert json.loads(done.stdout)["findings"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--format", "text", "--format", "json"], "two formats for the standard output"),
        (["--format", "sarif", "-o", "x", "--format", "json", "-o", "./x"], "two formats for ./x"),
        (["--format", "sarif", "-o", "x", "-o", "y"], "--output-file y has no format"),
        (["--statistics", "--format", "sarif"], "--statistics does not go with --format sarif"),
    ],
)
def test_what_does_not_fit_together_is_found_before_the_scan(folder: Path, arguments: list[str], what: str) -> None:
    done = scan(folder, "model.py", *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"error E680: {what}"
    assert not (folder / "x").exists()


@pytest.mark.parametrize("form", ["json", "jsonl", "sarif", "junit", "github", "gitlab", "markdown", "concise"])
def test_no_verdict_is_a_document_in_every_format_at_its_place(folder: Path, form: str) -> None:
    done = scan(folder, "bad.py", "--format", form)
    assert done.returncode == 2
    assert "E565" in done.stdout
    done = scan(folder, "bad.py", "--format", form, "-o", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "E565" in (folder / "x").read_text()


def test_the_nearest_format_is_suggested(folder: Path) -> None:
    done = scan(folder, "model.py", "--format", "sarfi")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error E675: --format cannot be 'sarfi'"
    assert "did you mean `sarif`?" in done.stderr


def test_github_gets_its_summary_page_beside_the_annotations(folder: Path) -> None:
    page = folder / "summary.md"
    page.write_text("# before\n")
    done = scan(folder, "model.py", "well.py", "--format", "github", GITHUB_STEP_SUMMARY=str(page))
    assert done.stdout.startswith("::error ")
    assert page.read_text().startswith("# before\n")
    assert "GC101" in page.read_text()
    assert scan(folder, "model.py", GITHUB_STEP_SUMMARY=str(page)).returncode == 1
    assert page.read_text().count("GC101") < 3  # the text format adds nothing


def test_a_typed_format_is_for_the_screen_whatever_file_the_settings_name(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.gradcheck]\nformat = ["sarif"]\noutput-file = ["x.sarif"]\n')
    assert json.loads(scan(folder, "model.py", "--format", "json").stdout)["findings"]
    assert not (folder / "x.sarif").exists()


def test_one_document_stands_on_the_screen_also_where_two_were_asked_for(folder: Path) -> None:
    done = scan(folder, "model.py", "--format", "json,sarif")
    assert json.loads(done.stdout)["error"]["id"] == "E680"


def test_a_file_may_be_a_link_to_another_disk_and_have_a_long_name(folder: Path, tmp_path: Path) -> None:
    name = "x" * 250
    (folder / "link").symlink_to(folder / name)
    assert scan(folder, "well.py", "--format", "json", "-o", "link").returncode == 0
    assert json.loads((folder / name).read_text())
    assert (folder / "link").is_symlink()


def test_a_summary_page_that_cannot_be_written_changes_no_verdict(folder: Path) -> None:
    done = scan(folder, "well.py", "--format", "github", GITHUB_STEP_SUMMARY="/nowhere/page.md")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "cannot write to /nowhere/page.md: No such file or directory\n"


@pytest.mark.parametrize(("name", "code"), [("well.py", 0), ("model.py", 1), ("bad.py", 2), ("none.py", 2)])
def test_stderr_on_a_full_disk_changes_no_exit_code(folder: Path, name: str, code: int) -> None:
    if name == "well.py":
        (folder / name).write_text(doing("print('x' * 100000); return healthy()"))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(GRADCHECK), "scan", name, "--format", "json", "-o", "x.json"],
            cwd=folder,
            env=environment(PYTHONPATH=str(STAND_IN)),
            stderr=full,
            check=False,
        )
    assert done.returncode == code


@pytest.mark.parametrize(("flag", "value"), [("--select", ""), ("--select", ","), ("--format", "")])
def test_an_empty_variable_of_a_shell_switches_nothing_off(folder: Path, flag: str, value: str) -> None:
    done = scan(folder, "model.py", flag, value)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error E675: {flag} cannot be ")


@pytest.mark.parametrize("arguments", [["--ignore", "ALL"], ["--ignore", "GC"], ["--select", "GC9"]])
def test_a_gate_without_a_rule_is_not_green(folder: Path, arguments: list[str]) -> None:
    done = scan(folder, "model.py", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error E681: no rule is left")
