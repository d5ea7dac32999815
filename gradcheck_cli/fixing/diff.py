"""Old and new text → a unified diff for `patch -p1` and `git apply`."""

from __future__ import annotations

import difflib
import re


def unified(name: str, old: str, new: str, *, marked: bool = False) -> str:
    """Return the diff of one file; `name` is relative to the directory that it will be applied in.

    `marked`: the file starts with a byte order mark, which neither text has.
    """
    mark = "\ufeff" if marked else ""
    lines = difflib.unified_diff(_lines(mark + old), _lines(mark + new), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """Split at line feeds alone: `str.splitlines` would split at form feeds and separators too."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
