"""What a shell offers on the Tab key, asked as bash asks it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command import GRADCHECK, environment


def offered(tmp_path: Path, words: str) -> list[str]:
    variables = environment(_GRADCHECK_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    done = subprocess.run([str(GRADCHECK)], cwd=tmp_path, env=variables, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("gradcheck scan --format sa", ["sarif"]),
        ("gradcheck scan --format g", ["github", "gitlab"]),
        ("gradcheck scan --select GC90", ["GC901"]),
        ("gradcheck scan --ignore van", ["vanishing-gradient", "vanishing-through-time"]),
        ("gradcheck scan --select GC101,GC90", ["GC101,GC901"]),
        ("gradcheck scan --device cu", ["cuda", "cuda:0"]),
        ("gradcheck scan --fail-on ", ["error", "warning", "note"]),
        ("gradcheck explain GC90", ["GC901"]),
        ("gradcheck compare a.json b.json --format ma", ["markdown"]),
        ("gradcheck baseline w", ["write"]),
        ("gradcheck baseline write --select GC90", ["GC901"]),
    ],
)
def test_codes_formats_and_devices_are_offered(tmp_path: Path, words: str, expected: list[str]) -> None:
    assert offered(tmp_path, words) == expected


def test_completing_loads_no_torch() -> None:
    code = (
        "from gradcheck_cli.cli import app, completion; completion.rules('GC'); import sys; assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_script_for_the_shell_is_printed(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(GRADCHECK), "--show-completion", "bash"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "_GRADCHECK_COMPLETE" in done.stdout
