"""Profile → findings: run the selected rules, look again at suspects, keep root causes, sort."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from gradcheck_cli.records import SEVERITIES, Finding, Profile, Severity
from gradcheck_cli.rules import RuleFile, declared, load_rules
from gradcheck_cli.rules.objectives import united
from gradcheck_cli.rules.root_causes import layer_order, without_victims
from gradcheck_cli.rules.second_look import look_again
from gradcheck_cli.rules.selection import check_selectors, limits_of, selected, severity_of
from gradcheck_cli.settings import Settings


def judge(profiles: Sequence[Profile], settings: Settings) -> tuple[Finding, ...]:
    """Return the findings of one scan, one for each root cause, gravest first, then by code and execution order.

    `profiles` holds one profile for each objective. A rule that is not selected never runs. Raises E674, E675 or E678
    for settings that name no rule, limit or severity.
    """
    check_selectors(declared(), settings)
    raised: list[Finding] = []
    for file in selected(load_rules(), settings):
        raised += raised_by(file, profiles, limits_of(file.rule, settings), severity_of(file.rule, settings))
    orders = {layer.name: layer.order for profile in reversed(profiles) for layer in profile.layers}
    return tuple(sorted(root_causes(raised), key=lambda f: _rank(f, orders)))


def needs_second_look(findings: Sequence[Finding]) -> bool:
    """Say whether any finding is a suspect: it could fail a scan, and one look does not decide it."""
    confirm = {file.rule.code: file.confirm for file in load_rules()}
    return any(f.grave and confirm.get(f.code, "none") != "none" for f in findings)


def raised_by(
    file: RuleFile,
    profiles: Sequence[Profile],
    limits: Mapping[str, float],
    severity: Severity | None,
    again: Mapping[str, float] | None = None,
) -> Iterator[Finding]:
    """Run one rule on each objective, or once on what holds under all of them, and look again at what it raises.

    `severity` is the one that the settings force on its findings, None where they do not. `again`: limits for the second
    look, where they are not those of the first.
    """
    together = file.every_objective and len(profiles) > 1
    for profile in (united(profiles),) if together else profiles:
        objective = "" if together else profile.objective.name
        for finding in file.check(profile, limits):
            named = dataclasses.replace(finding, name=file.rule.name, objective=objective)
            seen = look_again(named, file, profile, limits if again is None else again)
            if seen is None:
                continue
            # A note is what a second look has excused or a limit calls mild: the user's severity is for the rest.
            yield dataclasses.replace(seen, severity=severity) if severity and seen.severity != "note" else seen


def root_causes(raised: Sequence[Finding]) -> list[Finding]:
    """Keep one finding for each root cause among all that the rules have raised."""
    return without_victims(_once(raised), {file.rule.code: file.rule for file in load_rules()})


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """Keep the gravest of the findings that several objectives raise alike."""
    best: dict[tuple[str, str, str | None], Finding] = {}
    for finding in findings:
        key = (finding.code, finding.layer, finding.parameter)
        if key not in best or SEVERITIES.index(finding.severity) < SEVERITIES.index(best[key].severity):
            best[key] = finding
    return list(best.values())


def _rank(finding: Finding, orders: dict[str, int]) -> tuple[int, str, float, str, str]:
    place = layer_order(orders, finding.layer)
    return SEVERITIES.index(finding.severity), finding.code, place, finding.layer, finding.parameter or ""
