"""Diffs apply as they are, to the very bytes of the file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gradcheck_cli.fixing.diff import unified


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_diff_applies_without_fuzz(tmp_path: Path, mark: str, end: str) -> None:
    old, new = f"a = 1{end}b = 2{end}c = 3{end}", f"a = 1{end}b = 20{end}c = 3{end}"
    file = tmp_path / "model.py"
    file.write_bytes((mark + old).encode())
    diff = unified("model.py", old, new, marked=bool(mark)).encode()
    done = subprocess.run(["patch", "-p1", "--fuzz=0", "--binary"], input=diff, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, b"fuzz" in done.stdout) == (0, False)
    assert file.read_bytes() == (mark + new).encode()
