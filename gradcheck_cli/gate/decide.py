"""Which findings of a scan count."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from gradcheck_cli.gate.baseline import apply_baseline
from gradcheck_cli.gate.baseline_file import read_baseline
from gradcheck_cli.gate.fingerprint import fingerprint
from gradcheck_cli.gate.suppression import suppress
from gradcheck_cli.records import SEVERITIES, Finding, IgnoreComment, Report
from gradcheck_cli.rules import declared
from gradcheck_cli.rules.selection import selected
from gradcheck_cli.settings import Settings


def decide(report: Report, comments: Sequence[IgnoreComment], settings: Settings) -> Report:
    """Give every finding its fingerprint and set aside what comments, settings and the baseline accept.

    Raises E683 and E684 for a baseline that cannot be read.
    """
    checked = tuple(file.rule.code for file in selected(declared(), settings))
    report = suppress(dataclasses.replace(report, checked=checked), comments, settings)
    report = dataclasses.replace(
        report,
        findings=tuple(dataclasses.replace(f, fingerprint=fingerprint(settings.identity, f)) for f in _graver_first(report)),
        suppressed=tuple(
            dataclasses.replace(
                s, finding=dataclasses.replace(s.finding, fingerprint=fingerprint(settings.identity, s.finding))
            )
            for s in report.suppressed
        ),
    )
    return report if settings.baseline is None else apply_baseline(report, read_baseline(settings.baseline), settings)


def _graver_first(report: Report) -> list[Finding]:
    """Put what was raised here in its place; the judged findings keep their order."""
    return sorted(report.findings, key=lambda f: SEVERITIES.index(f.severity))
