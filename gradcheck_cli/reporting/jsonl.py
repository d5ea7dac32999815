"""One JSON object a line, each complete in itself: a finding, or the reason why a target has no verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gradcheck_cli import __version__
from gradcheck_cli.records import SCHEMA_VERSION, Scan, to_dict
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.results import Result, results


def render(scans: Sequence[Scan], _look: Look) -> str:
    """Render findings that count, then the accepted ones, target by target. ASCII only, non-finite numbers as strings.

    A line has `error` or `code`. Paths are relative to the working directory.
    """
    return "".join(_line(each) for scan in scans for each in _objects(scan))


def _objects(scan: Scan) -> list[Mapping[str, Any]]:
    if scan.error is not None:
        head = {"schema_version": SCHEMA_VERSION, "tool_version": __version__, "target": scan.target}
        return [{**head, "error": to_dict(scan.error)}]
    return [_finding(result) for result in results(scan)]


def _finding(result: Result) -> Mapping[str, Any]:
    finding, accepted = result.finding, result.suppressed
    return {
        "schema_version": result.report.schema_version,
        "tool_version": result.report.tool_version,
        "target": result.target,
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "layer": finding.layer,
        "parameter": finding.parameter,
        "message": finding.message,
        "file": result.site.file,
        "line": result.site.line,
        "exact": result.site.exact,
        "line_known": result.placed,
        "facts": to_dict(finding.facts),
        "affected": list(finding.affected),
        "confirmed": finding.confirmed,
        "objective": finding.objective,
        "fingerprint": finding.fingerprint,
        "cure": result.cure,
        "status": "suppressed" if accepted else "new",
        "by": accepted.by if accepted else None,
        "reason": accepted.reason if accepted else None,
    }


def _line(each: Mapping[str, Any]) -> str:
    # ##[ is a command wherever it stands in the log of a build.
    return json.dumps(each, allow_nan=False).replace("##[", "\\u0023#[") + "\n"
