"""The report as one JSON object: `schema_version` first, no times, no absolute paths, non-finite numbers as strings."""

from __future__ import annotations

import json
import re

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.records import SCHEMA_VERSION, Report, to_dict
from gradcheck_cli.reporting.base import Look

# An array of numbers, as `indent` lays it out. Strings hold no line break, so none of them can look like one.
_NUMBERS = re.compile(r"\[\n\s+([-+.\deE]+(?:,\n\s+[-+.\deE]+)*)\n\s+\]")


def render(report: Report, _look: Look) -> str:
    """Render the whole report. ASCII only, so that no name can carry a control character to a terminal."""
    return _dump(to_dict(report))


def render_error(error: GradcheckError, tool_version: str) -> str:
    """Render the absence of a verdict, so that a reader of stdout always finds one document."""
    shown = {key: value for key, value in error.to_dict().items() if key != "trace"}
    return _dump({"schema_version": SCHEMA_VERSION, "tool_version": tool_version, "error": shown})


def _dump(document: object) -> str:
    text = json.dumps(document, indent=2, allow_nan=False)
    # DEL is the one control character that ASCII JSON lets through.
    return _NUMBERS.sub(_on_one_line, text).replace("\x7f", "\\u007f") + "\n"


def _on_one_line(array: re.Match[str]) -> str:
    return "[" + " ".join(array[1].split()) + "]"
