"""Choose the remedies that answer a finding, in the order to try them, and name the layers that a trial of each would edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradcheck_cli.records import Edit, Finding, Prescription, Profile
from gradcheck_cli.remedies.catalogue_reader import Answer, PlannedEdit, Remedy, load_catalogue
from gradcheck_cli.remedies.conditions import holds
from gradcheck_cli.remedies.edit_kinds import KINDS, fits, is_fact
from gradcheck_cli.remedies.evidence import evidence
from gradcheck_cli.remedies.scopes import Place, resolve
from gradcheck_cli.remedies.snippets import fill
from gradcheck_cli.remedies.surroundings import Surroundings, surroundings

_UNKNOWN = {  # why a fact may be missing
    "better_lr": "no optimizer with its learning rate was found",
    "loss_scale": "no loss scale brings the gradient into range",
}


def prescribe(profiles: Sequence[Profile], findings: Sequence[Finding]) -> tuple[Prescription, ...]:
    """Return the remedies for each finding in the findings' order, none of them tried yet.

    Least invasive first; but what only lets training cope with the cause comes after all that may remove it.

    A suspect that the second look has softened to a note needs no remedy.
    """
    known: dict[str, Surroundings] = {}
    made: list[Prescription] = []
    for finding in findings:
        if finding.severity == "note" and finding.confirmed:
            continue
        profile = next((p for p in profiles if p.objective.name == finding.objective), profiles[0])
        if profile.objective.name not in known:
            known[profile.objective.name] = surroundings(profile)
        made += _for_one(known[profile.objective.name], finding)
    return tuple(made)


def _for_one(around: Surroundings, finding: Finding) -> list[Prescription]:
    facts = evidence(around, finding)
    answers = [(remedy, _answer(remedy, finding.code, facts)) for remedy in load_catalogue()]
    fitting = sorted(((r, a.symptom) for r, a in answers if a), key=lambda pair: pair[1])
    return [_prescription(remedy, around, finding, facts) for remedy, _ in fitting]


def _answer(remedy: Remedy, code: str, facts: Mapping[str, Any]) -> Answer | None:
    return next((a for a in remedy.answers if code in a.codes and holds(a.when, facts)), None)


def _prescription(remedy: Remedy, around: Surroundings, finding: Finding, facts: Mapping[str, Any]) -> Prescription:
    edits, reason = _edits(remedy, around, finding, facts)
    return Prescription(
        remedy=remedy.id,
        title=remedy.title,
        code=finding.code,
        layer=finding.layer,
        action=remedy.action,
        why=remedy.why,
        cost=remedy.cost,
        applicability=remedy.applicability,
        snippet=fill(remedy, around, finding, facts),
        sources=remedy.sources,
        edits=edits,
        reason=reason,
    )


def _edits(remedy: Remedy, around: Surroundings, finding: Finding, facts: Mapping[str, Any]) -> tuple[tuple[Edit, ...], str]:
    """Return the edits with their layers and options, or none and the reason: half of a remedy is no remedy."""
    edits = []
    for planned in remedy.edits:
        options, unknown = _options(planned, facts)
        if unknown:
            return (), _UNKNOWN.get(unknown, f"the scan does not tell the {unknown.replace('_', ' ')} that it takes")
        place = Place(around=around, finding=finding, facts=facts, roles=KINDS[planned.kind].roles)
        layers = resolve(planned.scope, place)
        if not layers and planned.scope != "model":
            return (), f"nothing in this model is what it edits ({planned.scope})"
        edits.append(Edit(kind=planned.kind, layers=layers, options=options))
    return tuple(edits), remedy.untried


def _options(planned: PlannedEdit, facts: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the options with facts filled in, and the name of the first that is unknown or not of its kind."""
    options = {}
    for key, value in planned.options.items():
        known = facts.get(value[1:]) if is_fact(value) else value
        if known is None or not fits(KINDS[planned.kind].options[key], known):
            return {}, value[1:]
        options[key] = known
    return options, ""
