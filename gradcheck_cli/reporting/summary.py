"""The verdict in one line."""

from __future__ import annotations

from collections import Counter

from gradcheck_cli.records import SEVERITIES, Report
from gradcheck_cli.reporting.clean import clean

VERDICTS = {"error": "sick", "warning": "doubtful", "note": "healthy", None: "healthy"}


def found(report: Report) -> str:
    """Return the names of what was found, gravest first, alike ones counted."""
    counts = Counter((f.severity, f.name or f.code) for f in report.findings)
    names = [
        f"{f'{count} × ' if count > 1 else ''}{clean(name)} ({severity})"
        for severity in SEVERITIES
        for (grade, name), count in counts.items()
        if grade == severity
    ]
    return ", ".join(names) or "nothing found"


def summary(report: Report) -> str:
    """Return the verdict as one plain line."""
    return f"{VERDICTS[report.worst()]}: {found(report)}"
