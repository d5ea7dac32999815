"""The verdict in one line."""

from __future__ import annotations

from collections import Counter

from gradcheck_cli.records import SEVERITIES, Finding, Report
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.numbers import plural

VERDICTS = {"error": "sick", "warning": "doubtful", "note": "healthy", None: "healthy"}


def verdict(report: Report) -> str:
    """Return the verdict in one word; "accepted" where what makes it sick is accepted."""
    worst = report.worst()
    known = any(one.finding.grave for one in report.suppressed)
    return "accepted" if known and worst in ("note", None) else VERDICTS[worst]


def found(report: Report) -> str:
    """Return the names of what was found, gravest first, alike ones counted."""
    counts = Counter((f.severity, f.name or f.code) for f in report.findings)
    names = [
        f"{f'{count} × ' if count > 1 else ''}{clean(name)} ({severity})"
        for severity in SEVERITIES
        for (grade, name), count in counts.items()
        if grade == severity
    ]
    if report.suppressed:
        names.append(f"{len(report.suppressed)} accepted")
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
    sick = [f for f in report.findings if f.grave]
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
    cured = [t for t in report.trials if t.outcome == "cured"]
    own = any(t in cured for t in report.trials_for(finding))
    return own or (alone and any(f"{finding.code} {finding.name}" in t.also_cures for t in cured))


def summary(report: Report) -> str:
    """Return the verdict as one plain line."""
    told, tried = f"{verdict(report)}: {found(report)}", cures(report)
    return f"{told}; {tried}" if tried else told
