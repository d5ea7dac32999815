"""Which findings of a scan count."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from gradcheck_cli.gate.baseline import apply_baseline
from gradcheck_cli.gate.baseline_file import Baseline, read_baseline
from gradcheck_cli.gate.fingerprint import fingerprint
from gradcheck_cli.gate.suppression import suppress
from gradcheck_cli.records import SEVERITIES, Finding, IgnoreComment, Report
from gradcheck_cli.rules import declared
from gradcheck_cli.rules.close_calls import close_calls
from gradcheck_cli.rules.selection import selected
from gradcheck_cli.settings import Settings


def decide(report: Report, comments: Sequence[IgnoreComment], settings: Settings) -> Report:
    """Give every finding its fingerprint, set aside what comments, settings and the baseline accept, and name close calls.

    Raises E683 and E684 for a baseline that cannot be read.
    """
    baseline = None if settings.baseline is None else read_baseline(settings.baseline)
    made = _decider(report, comments, settings, baseline)
    calls = close_calls(report.profiles, settings, lambda findings: made(findings).findings)
    return dataclasses.replace(made(report.findings), close_calls=calls)


def _decider(
    report: Report, comments: Sequence[IgnoreComment], settings: Settings, baseline: Baseline | None
) -> Callable[[tuple[Finding, ...]], Report]:
    """Return what makes the report that a scan would have with other findings."""
    checked = tuple(file.rule.code for file in selected(declared(), settings))

    def made(findings: tuple[Finding, ...]) -> Report:
        given = dataclasses.replace(report, findings=findings, checked=checked)
        known = _with_fingerprints(suppress(given, comments, settings), settings)
        return known if baseline is None else apply_baseline(known, baseline, settings)

    return made


def _with_fingerprints(report: Report, settings: Settings) -> Report:
    """Name every finding; what was raised by the gate goes to its place, the judged findings keep their order."""

    def named(finding: Finding) -> Finding:
        return dataclasses.replace(finding, fingerprint=fingerprint(settings.identity, finding))

    return dataclasses.replace(
        report,
        findings=tuple(sorted(map(named, report.findings), key=lambda f: SEVERITIES.index(f.severity))),
        suppressed=tuple(dataclasses.replace(s, finding=named(s.finding)) for s in report.suppressed),
    )
