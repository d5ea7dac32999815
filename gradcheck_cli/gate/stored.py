"""Read the documents that `gradcheck scan --format json` has written."""

from __future__ import annotations

import json
from typing import Any

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.records import SCHEMA_VERSION, Failure, Report, Scan, from_dict

_LARGEST = 256 << 20  # bytes; a report of a model with a thousand layers takes about 10 MiB
_DO = "write it with: gradcheck scan model.py --format json -o report.json"


def read_scans(path: str) -> tuple[Scan, ...]:
    """Read a report, or several, of this or another minor version of the schema. Raises E685 for anything else."""
    document = _load(path)
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(version, str):
        raise _unreadable(path, "it is JSON, but no report of gradcheck")
    if version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        why = f"its form is {version or 'unknown'}, and this version of gradcheck reads {SCHEMA_VERSION.partition('.')[0]}.x"
        raise _unreadable(path, why, "read it with the version of gradcheck that wrote it, or scan again")
    if not document.keys() & {"profiles", "scans", "error"}:
        raise _unreadable(path, "it holds no report")
    try:
        scans = tuple(_scan(part) for part in document.get("scans", [document]))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _unreadable(path, f"it is damaged: {_brief(error)}") from None
    if not scans:
        raise _unreadable(path, "it holds no report")
    return scans


def _load(path: str) -> Any:
    """Parse a file or a pipe, in any encoding that JSON may have: PowerShell redirects into UTF-16."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    except ValueError as error:  # a path with a NUL in it, from a configuration file
        raise _unreadable(path, str(error)) from None
    if len(content) > _LARGEST:
        raise _unreadable(path, f"it has more than {_LARGEST >> 20} MiB")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        why = "it is empty" if not content.strip() else f"it is not JSON: {_brief(error)}"
        raise _unreadable(path, why) from None


def _scan(part: dict[str, Any]) -> Scan:
    """Read one target: the report itself, or with its name beside it, or the error in its place."""
    if error := part.get("error"):
        return Scan(target=part.get("target", ""), error=from_dict(Failure, error))
    report = from_dict(Report, part.get("report", part))
    if not report.profiles:
        raise ValueError("a report without a profile")
    return Scan(target=part.get("target", report.target), report=report)


def _unreadable(path: str, why: str, do: str = _DO) -> GradcheckError:
    return GradcheckError("E685", f"cannot read the report {path}", why, do)


def _brief(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
