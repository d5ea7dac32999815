"""The stages in order: load, probe, judge, confirm, judge again, prescribe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcheck_cli import __version__, phase
from gradcheck_cli.records import Report
from gradcheck_cli.remedies import prescribe
from gradcheck_cli.rules.judge import judge, needs_second_look
from gradcheck_cli.settings import Settings

if TYPE_CHECKING:
    from gradcheck_cli.loading.base import Subject


def scan(settings: Settings) -> Report:
    """Load the target and examine it. Raises GradcheckError when no verdict can be reached."""
    from gradcheck_cli.loading import load

    phase.enter("loading the target")
    return examine(load(settings), settings)


def examine(subject: Subject, settings: Settings) -> Report:
    """Measure and judge a loaded subject, in this process; its model is left bit for bit as it was."""
    from gradcheck_cli.probing.probe import probe

    phase.enter("measuring one forward and backward pass")
    profiles = tuple(probe(subject, objective, settings) for objective in subject.objectives)
    if needs_second_look(judge(profiles, settings)):
        from gradcheck_cli.probing.confirm import confirm

        phase.enter("looking again at suspects")
        pairs = zip(subject.objectives, profiles, strict=True)
        profiles = tuple(confirm(subject, objective, settings, profile) for objective, profile in pairs)
    phase.enter("judging")
    findings = judge(profiles, settings)
    return Report(
        tool_version=__version__,
        profiles=profiles,
        findings=findings,
        prescriptions=prescribe(profiles, findings),
        settings=_echo(settings),
    )


def _echo(settings: Settings) -> dict[str, object]:
    """The settings that the verdict depends on."""
    names = ("batches", "seed", "device", "dtype", "exact", "select", "ignore", "extend_select", "fail_on", "rules")
    return {name: getattr(settings, name) for name in names}
