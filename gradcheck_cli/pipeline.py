"""The stages in order: load, diagnose (probe, judge, confirm, judge again), prescribe, try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcheck_cli import __version__, phase
from gradcheck_cli.diagnosis import diagnose
from gradcheck_cli.records import Report
from gradcheck_cli.remedies import prescribe
from gradcheck_cli.settings import Settings

if TYPE_CHECKING:
    from gradcheck_cli.loading.base import Subject


def scan(settings: Settings) -> Report:
    """Load the target and examine it. Raises GradcheckError when no verdict can be reached."""
    from gradcheck_cli.loading import load

    phase.enter("loading the target")
    return examine(load(settings), settings)


def examine(subject: Subject, settings: Settings) -> Report:
    """Measure, judge and treat a loaded subject, in this process; its model is left bit for bit as it was."""
    phase.enter("measuring one forward and backward pass")
    seen = diagnose(subject, settings)
    phase.enter("judging")
    report = Report(
        tool_version=__version__,
        profiles=seen.profiles,
        findings=seen.findings,
        prescriptions=prescribe(seen.profiles, seen.findings),
        settings=_echo(settings),
    )
    if settings.no_try or not any(p.edits for p in report.prescriptions):
        return report
    phase.interim(report)
    from gradcheck_cli.trials.search import try_remedies

    return try_remedies(subject, report, settings)


def _echo(settings: Settings) -> dict[str, object]:
    """The settings that the verdict depends on."""
    measured = ("batches", "seed", "device", "dtype", "exact")
    judged = ("select", "ignore", "extend_select", "fail_on", "rules")
    names = (*measured, "no_try", "try_all", "try_budget", *judged)
    return {name: getattr(settings, name) for name in names}
