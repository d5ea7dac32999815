"""Where the report goes and how it looks there. The pipeline is stood in for."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from command import GRADCHECK, STAND_IN, environment, gradcheck
from test_worker import HEALTHY, SICK, doing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "model.py").write_text(SICK)
    (tmp_path / "well.py").write_text(HEALTHY)
    (tmp_path / "bad.py").write_text(doing("os._exit(1)"))
    return tmp_path


def scan(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return gradcheck("scan", *arguments, cwd=folder, stand_in=True, env=env)


def test_a_report_in_a_file_leaves_a_summary_on_stderr(folder: Path) -> None:
    done = scan(folder, "model.py", "-o", "report.txt")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "sick: vanishing-gradient (error), saturation (warning)\nreport written to report.txt\n"
    assert "error GC101 vanishing-gradient" in (folder / "report.txt").read_text("utf-8")
    assert sorted(p.name for p in folder.glob("*.*")) == [".git", "bad.py", "model.py", "report.txt", "well.py"]


def test_quiet_leaves_the_report_alone(folder: Path) -> None:
    done = scan(folder, "model.py", "-q")
    assert done.stderr == ""
    assert "gradcheck explain" not in done.stdout


def test_verbose_says_where_settings_came_from_and_how_long_it_took(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.gradcheck]\nseed = 3\n")
    done = scan(folder, "model.py", "-v")
    assert f"  seed from {folder / 'pyproject.toml'}\n  verbose from --verbose\n" in done.stderr
    assert re.search(r"^\d+\.\d s$", done.stderr, re.MULTILINE)


def test_json_holds_the_report_or_the_error(folder: Path) -> None:
    assert json.loads(scan(folder, "model.py", "--output-format", "json").stdout)["findings"][0]["code"] == "GC101"
    assert json.loads(scan(folder, "bad.py", "--format", "json").stdout)["error"]["id"] == "E565"
    done = scan(folder, "bad.py", "--format", "json", "-o", "out.json")
    assert (done.stdout, done.returncode) == ("", 2)
    assert json.loads((folder / "out.json").read_text())["error"]["id"] == "E565"


@pytest.mark.parametrize(
    ("path", "why"),
    [("nowhere/x.txt", "there is no folder nowhere"), (".git", "it is a folder")],
)
def test_an_output_that_cannot_be_written_is_found_before_the_scan(folder: Path, path: str, why: str) -> None:
    (folder / "model.py").write_text(doing("print('ran')"))
    done = scan(folder, "model.py", "-o", path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error E679: cannot write to {path}\n  why   {why}\n  hint  give --output-file a path that can be written\n"
    )


def test_a_full_disk_is_no_verdict(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(GRADCHECK), "scan", "well.py"],
            cwd=folder,
            env=environment(PYTHONPATH=str(STAND_IN)),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("error E679: cannot write to the standard output\n  why   No space left on device\n")


def test_a_reader_that_goes_away_changes_no_verdict(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [str(GRADCHECK), "scan", "model.py"],
        cwd=folder,
        env=environment(PYTHONPATH=str(STAND_IN)),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("options", "env", "painted"),
    [
        ([], {}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        ([], {"GRADCHECK_COLOR": "always"}, True),
    ],
)
def test_colour(folder: Path, options: list[str], env: dict[str, str], painted: bool) -> None:
    assert ("\x1b[" in scan(folder, "model.py", *options, **env).stdout) is painted


def test_an_encoding_without_blocks_gets_ascii(folder: Path) -> None:
    assert scan(folder, "model.py", PYTHONIOENCODING="latin-1").stdout.isascii()


def on_a_terminal(folder: Path, *arguments: str, awaited: bytes | None = None, **env: str) -> str:
    """Run with both streams on a terminal of 70 columns; make the file `shown` when `awaited` stands there."""
    parent, child = pty.openpty()
    variables = environment(**{"PYTHONPATH": str(STAND_IN), "COLUMNS": "70", "TERM": "xterm", **env})
    command = subprocess.Popen(
        [str(GRADCHECK), "scan", *arguments], cwd=folder, env=variables, stdout=child, stderr=child, stdin=child
    )
    os.close(child)
    seen = b""
    try:
        while piece := os.read(parent, 65536):
            seen += piece
            if awaited is not None and awaited in seen:
                (folder / "shown").touch()
    except OSError:  # how Linux says that the other end is closed
        pass
    command.wait(60)
    os.close(parent)
    return seen.decode("utf-8")


def test_on_a_terminal_the_report_is_coloured_wrapped_and_preceded_by_progress(folder: Path) -> None:
    seen = on_a_terminal(folder, "model.py")
    assert "\x1b[1;31merror GC101" in seen
    assert "model.py: " in seen  # the spinner's line, erased when the report comes
    bare = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.split("verdict")[1])
    assert max(len(line) for line in bare.splitlines()) <= 70


def test_a_dumb_terminal_gets_no_escape_code(folder: Path) -> None:
    assert "\x1b" not in on_a_terminal(folder, "model.py", TERM="dumb")
