"""Choose the remedies that answer a finding, least invasive first."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck_cli.records import Finding, Prescription, Profile
from gradcheck_cli.remedies.catalogue_reader import Remedy, load_catalogue
from gradcheck_cli.remedies.conditions import holds
from gradcheck_cli.remedies.evidence import evidence
from gradcheck_cli.remedies.snippets import fill


def prescribe(profiles: Sequence[Profile], findings: Sequence[Finding]) -> tuple[Prescription, ...]:
    """Return the remedies for each finding in the findings' order, least invasive first; none of them is tried yet.

    A suspect that the second look has softened to a note needs no remedy.
    """
    return tuple(
        prescription
        for finding in findings
        if not (finding.severity == "note" and finding.confirmed)
        for prescription in _for_one(_profile_of(profiles, finding), finding)
    )


def _profile_of(profiles: Sequence[Profile], finding: Finding) -> Profile:
    return next((p for p in profiles if p.objective.name == finding.objective), profiles[0])


def _for_one(profile: Profile, finding: Finding) -> list[Prescription]:
    facts = evidence(profile, finding)
    return [
        Prescription(
            remedy=remedy.id,
            title=remedy.title,
            code=finding.code,
            layer=finding.layer,
            action=remedy.action,
            why=remedy.why,
            cost=remedy.cost,
            applicability=remedy.applicability,
            snippet=fill(remedy, profile, finding, facts),
            sources=remedy.sources,
        )
        for remedy in load_catalogue()
        if _answers(remedy, finding.code, facts)
    ]


def _answers(remedy: Remedy, code: str, facts: dict[str, object]) -> bool:
    return any(code in answer.codes and holds(answer.when, facts) for answer in remedy.answers)
