"""`gradcheck compare`: exit codes, streams, and that nothing passes by accident."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command import environment, gradcheck

from gradcheck_cli.records import Failure, Report, Scan
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.json import render
from gradcheck_cli.rules.examples import layer_of, profile_of

FAILED = Scan(target="b.py", error=Failure(id="E113", what="no model", why="w", do="d", where=None))


def scanned(target: str, *decades: float | None) -> Scan:
    """Layers net.0, net.1 ... whose gradients are so many decades from the last one's; None: no gradient."""
    layers = [layer_of(f"net.{i}", gradient=None if d is None else 0.01 * 10**d) for i, d in enumerate(decades)]
    profile = profile_of(*layers, layer_of("head", gradient=0.01), target=target)
    return Scan(target=target, report=Report(tool_version="0.1.0", profiles=(profile,), findings=()))


WELL, ILL = (-0.1, 0.0), (-17.0, -9.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    documents = {
        "well": [scanned("a.py", *WELL)],
        "ill": [scanned("a.py", *ILL)],
        "cut": [scanned("a.py", *WELL[:1], None)],
        "two": [scanned("a.py", *WELL), scanned("b.py", *WELL)],
        "half": [scanned("a.py", *WELL), FAILED],
        "none": [FAILED],
    }
    for name, scans in documents.items():
        (tmp_path / f"{name}.json").write_text(render(scans, Look()), "utf-8")
    return tmp_path


def compare(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return gradcheck("compare", *arguments, cwd=folder, env=env)


def test_what_is_worse_is_said_and_is_no_failure_unless_asked(folder: Path) -> None:
    done = compare(folder, "well.json", "ill.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "compared  a.py · Example · 0 parameters · gradcheck 0.1.0\nverdict   worse: `net.0` receives "
    )


@pytest.mark.parametrize(
    ("old", "new", "limit", "code"),
    [("well", "ill", "1", 1), ("well", "ill", "16.8", 1), ("well", "ill", "17", 0), ("ill", "well", "0.3", 0)],
)
def test_a_regression_of_at_least_the_limit_is_1(folder: Path, old: str, new: str, limit: str, code: int) -> None:
    done = compare(folder, f"{old}.json", f"{new}.json", "--fail-on-regression", limit)
    assert done.returncode == code
    assert done.stderr == (f"regression: 17 decades (limit {limit})\n" if code else "")


def test_a_gradient_that_is_gone_is_a_regression_beyond_any_limit(folder: Path) -> None:
    done = compare(folder, "well.json", "cut.json", "--fail-on-regression", "1000")
    assert done.returncode == 1
    assert done.stderr == "regression: a gradient is gone or no longer finite (limit 1000)\n"
    assert "`net.1` receives no gradient any more: unreached" in done.stdout


def test_a_target_without_a_verdict_is_2_whatever_the_others_say(folder: Path) -> None:
    done = compare(folder, "two.json", "half.json")
    assert done.returncode == 2
    reason = "`b.py` was not compared: there is no verdict in the new document (E113: no model)\n"
    assert done.stdout.endswith(reason)
    machine = compare(folder, "two.json", "half.json", "--format", "json")
    assert (machine.returncode, machine.stderr) == (2, reason)
    assert json.loads(machine.stdout)["uncompared"][0]["blocks"] is True


def test_a_target_that_is_not_in_the_new_document_is_said(folder: Path) -> None:
    done = compare(folder, "two.json", "well.json")
    assert done.returncode == 0
    assert done.stdout.endswith("`b.py` was not compared: it is only in the old document\n")


@pytest.mark.parametrize(
    ("arguments", "id"),
    [
        (["well.json", "missing.json"], "E685"),
        (["none.json", "well.json"], "E686"),
        (["well.json", "none.json"], "E686"),
        (["well.json", "ill.json", "--fail-on-regression", "0"], "E675"),
        (["well.json", "ill.json", "--fail-on-regression", "much"], "E675"),
        (["well.json", "ill.json", "--layers", "some"], "E675"),
        (["well.json", "ill.json", "--color", "red"], "E675"),
        (["well.json", "ill.json", "-o", "nowhere/x.txt"], "E679"),
        (["well.json", "ill.json", "-o", "./well.json"], "E680"),
    ],
)
def test_what_cannot_be_done_is_2_and_a_document_says_so(folder: Path, arguments: list[str], id: str) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    done = compare(folder, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error {id}: ")
    machine = compare(folder, *arguments, "--format", "json")
    assert machine.returncode == 2
    assert json.loads(machine.stdout)["error"]["id"] == id
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_format_that_there_is_not_is_refused_with_the_nearest(folder: Path) -> None:
    done = compare(folder, "well.json", "ill.json", "--format", "markdwon")
    assert done.returncode == 2
    assert done.stderr == (
        "error E675: --format cannot be 'markdwon'\n  why   it takes one of text, markdown, json\n"
        "  hint  did you mean `markdown`?\n"
    )


def test_a_comparison_in_a_file_leaves_the_verdict_on_stderr(folder: Path) -> None:
    done = compare(folder, "well.json", "ill.json", "--format", "markdown", "-o", "out.md")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("worse: `net.0` receives 7.9e16 × less gradient")
    assert done.stderr.endswith("\ncomparison written to out.md\n")
    assert (folder / "out.md").read_text("utf-8").startswith("### `a.py`: worse\n")


def test_two_targets_in_a_file_are_told_apart_on_stderr(folder: Path) -> None:
    done = compare(folder, "two.json", "two.json", "-o", "out.txt")
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["a.py", "b.py", "comparison written to out.txt"]


def test_an_error_takes_the_place_of_the_document_in_the_file(folder: Path) -> None:
    done = compare(folder, "well.json", "missing.json", "--format", "json", "-o", "out.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert json.loads((folder / "out.json").read_text("utf-8"))["error"]["id"] == "E685"


def test_the_same_reports_give_the_same_bytes(folder: Path) -> None:
    one, other = (compare(folder, "well.json", "ill.json", "--format", "json").stdout for _ in range(2))
    assert one == other
    assert json.loads(one)["comparisons"][0]["verdict"] == "worse"


@pytest.mark.parametrize(
    ("options", "env", "painted"),
    [([], {}, False), ([], {"FORCE_COLOR": "1"}, True), (["--color", "never"], {"FORCE_COLOR": "1"}, False)],
)
def test_colour(folder: Path, options: list[str], env: dict[str, str], painted: bool) -> None:
    assert ("\x1b[" in compare(folder, "well.json", "ill.json", *options, **env).stdout) is painted


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_an_encoding_without_blocks_gets_ascii(folder: Path, form: str) -> None:
    done = compare(folder, "well.json", "ill.json", "--format", form, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_a_pipe_can_stand_for_a_report(folder: Path) -> None:
    command = f"'{Path(sys.executable).with_name('gradcheck')}' compare <(cat well.json) well.json"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment(), capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert "verdict   alike" in done.stdout


def test_it_needs_no_torch(folder: Path) -> None:
    code = (
        "from gradcheck_cli.cli.app import run\nimport sys\n"
        "assert run(['compare', 'well.json', 'ill.json']) == 0\n"
        "heavy = {'torch', 'numpy', 'yaml', 'libcst'} & sys.modules.keys()\nassert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_help_names_every_option(folder: Path) -> None:
    done = compare(folder, "--help")
    assert done.returncode == 0
    assert all(option in done.stdout for option in ("--format", "--fail-on-regression", "--layers", "--color", "--output-file"))
