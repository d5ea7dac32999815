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
    return ", ".join(names) or f"nothing found{_where(report)}"


def _where(report: Report) -> str:
    """Say which rules were asked, if not all of them were."""
    chosen = [*report.settings.get("select", ()), *report.settings.get("extend_select", ())]
    ignored = list(report.settings.get("ignore", ()))
    among = f" among {', '.join(map(clean, chosen))}" if chosen and "ALL" not in chosen else ""
    return among + (f", {', '.join(map(clean, ignored))} ignored" if ignored else "")


def summary(report: Report) -> str:
    """Return the verdict as one plain line."""
    return f"{VERDICTS[report.worst()]}: {found(report)}"
