"""The report as one JSON object: `schema_version` first, no times, no absolute paths, non-finite numbers as strings."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from gradcheck_cli import __version__
from gradcheck_cli.records import SCHEMA_VERSION, Scan, to_dict
from gradcheck_cli.reporting.base import Look

# An array of numbers, as `indent` lays it out. Strings hold no line break, so none of them can look like one.
_NUMBERS = re.compile(r"\[\n\s+([-+.\deE]+(?:,\n\s+[-+.\deE]+)*)\n\s+\]")


def render(scans: Sequence[Scan], _look: Look) -> str:
    """Render the whole report of one target, or all of several. ASCII only: no name can carry a control character."""
    if len(scans) == 1:
        return dump(_document(scans[0]))
    several = [{"target": scan.target, **_part(scan)} for scan in scans]
    return dump({**_head(), "scans": several})


def _document(scan: Scan) -> Any:
    return to_dict(scan.report) if scan.report else {**_head(), **_part(scan)}


def _part(scan: Scan) -> dict[str, Any]:
    return {"report": to_dict(scan.report)} if scan.report else {"error": to_dict(scan.error)}


def _head() -> dict[str, str]:
    return {"schema_version": SCHEMA_VERSION, "tool_version": __version__}


def dump(document: object) -> str:
    """Write strict JSON for people and tools: two spaces, an array of numbers on one line, a newline at the end."""
    text = _NUMBERS.sub(_on_one_line, json.dumps(document, indent=2, allow_nan=False))
    return text.replace("##[", "\\u0023#[") + "\n"  # what commands the log of a build server, wherever it stands


def _on_one_line(array: re.Match[str]) -> str:
    return "[" + " ".join(array[1].split()) + "]"
