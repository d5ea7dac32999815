"""The verdict in one line."""

from __future__ import annotations

from collections import Counter

from gradcheck_cli.records import SEVERITIES, Finding, Prescription, Report, Trial
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.numbers import plural

VERDICTS = {"error": "sick", "warning": "doubtful", "note": "healthy", None: "healthy"}


def belongs(item: Prescription | Trial, finding: Finding) -> bool:
    """Say whether a prescription or a trial is for this finding."""
    return (item.code, item.layer) == (finding.code, finding.layer)


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


def cures(report: Report) -> str:
    """Say for how many findings a cure was found by trying; empty when nothing was tried. Notes need none."""
    if not report.trials:
        return ""
    sick = [f for f in report.findings if f.severity != "note"]
    cured = sum(_is_cured(f, report) for f in sick)
    if cured and len(sick) == 1:
        return f"a cure was found: {clean(next(t.title for t in report.trials if t.outcome == 'cured'))}"
    if cured:
        return f"a cure was found for {cured} of {len(sick)} findings"
    made = sum(t.outcome != "not applied" for t in report.trials)
    return f"no cure was found among {plural(made, 'trial')}" if made else "no suggestion could be tried"


def _is_cured(finding: Finding, report: Report) -> bool:
    """Say whether a trial cured it, be it one that was for another finding."""
    alone = sum(f.code == finding.code for f in report.findings) == 1
    return any(
        belongs(trial, finding) or (alone and f"{finding.code} {finding.name}" in trial.also_cures)
        for trial in report.trials
        if trial.outcome == "cured"
    )


def summary(report: Report) -> str:
    """Return the verdict as one plain line."""
    verdict, tried = f"{VERDICTS[report.worst()]}: {found(report)}", cures(report)
    return f"{verdict}; {tried}" if tried else verdict
