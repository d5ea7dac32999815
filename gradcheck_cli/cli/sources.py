"""The text of the source lines that findings point to."""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from pathlib import Path

from gradcheck_cli.records import Scan

_LONGEST = 200  # characters; a longer line is no help on a screen


def source_lines(scans: Iterable[Scan]) -> dict[tuple[str, int], str]:
    """Read the line of every finding's site, by (file, line); a line that cannot be read is left out."""
    lines = {}
    for finding in (f for scan in scans if scan.report for f in scan.report.findings):
        if site := finding.site:
            text = linecache.getline(str(Path(site.file).resolve()), site.line).strip()
            if text and len(text) <= _LONGEST:
                lines[site.file, site.line] = text
    return lines
