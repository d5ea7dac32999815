"""GitLab Code Quality: an array of findings, each with a path, a line and a fingerprint of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradcheck_cli.records import Failure, Scan, SourceSite
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.json import dump
from gradcheck_cli.reporting.results import Result, digest, failure_site, known_by, name_of, results, told_apart, why

# GitLab has five grades. A model with an error does not train, with a warning it trains badly: "critical" and "major", as
# for code that does not work and that works badly. A note is advice. "blocker" is left for a scan that says nothing at all;
# "minor" is not used: nothing here is a matter of style.
_GRADES = {"error": "critical", "warning": "major", "note": "info"}


def render(scans: Sequence[Scan], look: Look) -> str:
    """Render what counts; the form has no word for an accepted finding. A target without a verdict is one entry."""
    entries = [entry for scan in scans for entry in _entries(scan, look)]
    # GitLab shows only the first of several entries with one fingerprint.
    prints = told_apart(entry["fingerprint"] for entry in entries)
    return dump([_salted(entry, single) for entry, single in zip(entries, prints, strict=True)])


def _salted(entry: Mapping[str, Any], single: str) -> Mapping[str, Any]:
    return entry if single == entry["fingerprint"] else {**entry, "fingerprint": digest(single)}


def _entries(scan: Scan, look: Look) -> list[Mapping[str, Any]]:
    if scan.error is not None:
        return [_no_verdict(scan, scan.error, look)]
    return [_finding(result, look) for result in results(scan) if result.suppressed is None]


def _finding(result: Result, look: Look) -> Mapping[str, Any]:
    finding = result.finding
    cure = f". {result.cure}" if result.cure else ""
    return {
        # GitLab does not show `check_name`.
        "description": clean(f"{finding.code} {finding.name}: {result.message}{result.remark}{cure}"),
        "check_name": clean(finding.code),
        "fingerprint": known_by(result, look),
        "severity": _GRADES[finding.severity],
        "location": _location(result.site, look),
    }


def _no_verdict(scan: Scan, failure: Failure, look: Look) -> Mapping[str, Any]:
    return {
        "description": clean(f"{failure.id} no verdict: {why(failure)}"),
        "check_name": clean(failure.id),
        "fingerprint": digest(name_of(scan.target, look), failure.id),
        "severity": "blocker",
        "location": _location(failure_site(scan) or SourceSite(file=".", line=1), look),
    }


def _location(site: SourceSite, look: Look) -> Mapping[str, Any]:
    return {"path": clean(look.from_root(site.file)), "lines": {"begin": max(site.line, 1)}}
