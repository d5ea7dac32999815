"""Several formats at once: which file belongs to which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import gradcheck
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
