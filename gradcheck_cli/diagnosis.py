"""Measure and judge a subject: the part of a scan that an edited copy goes through again, in the same way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradcheck_cli import phase
from gradcheck_cli.records import Finding, Profile
from gradcheck_cli.rules.judge import judge, needs_second_look
from gradcheck_cli.settings import Settings

if TYPE_CHECKING:
    from gradcheck_cli.loading.base import Subject


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was measured under each objective, and what follows from it."""

    profiles: tuple[Profile, ...]
    findings: tuple[Finding, ...]


def diagnose(subject: Subject, settings: Settings) -> Diagnosis:
    """Probe, judge, look again at suspects, judge again; the subject's model is left bit for bit as it was."""
    from gradcheck_cli.probing.probe import probe

    profiles = tuple(probe(subject, objective, settings) for objective in subject.objectives)
    if needs_second_look(judge(profiles, settings)):
        from gradcheck_cli.probing.confirm import confirm

        phase.enter("looking again at suspects")
        pairs = zip(subject.objectives, profiles, strict=True)
        profiles = tuple(confirm(subject, objective, settings, profile) for objective, profile in pairs)
    return Diagnosis(profiles, judge(profiles, settings))
