"""Try the prescriptions of every finding within the time budget: one by one in their order, then combined."""

from __future__ import annotations

import dataclasses

from gradcheck_cli import phase
from gradcheck_cli.diagnosis import Diagnosis
from gradcheck_cli.loading.base import Subject
from gradcheck_cli.probing.sandbox import untouched
from gradcheck_cli.records import Prescription, Report
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.attempts import Attempts
from gradcheck_cli.trials.deadline import Deadline, OutOfTime
from gradcheck_cli.trials.treatment import Treatment, budget_spent


def try_remedies(subject: Subject, report: Report, settings: Settings) -> Report:
    """Return the report with trials for its findings, and for each prescription whether it was tried or why not.

    The subject's model stays bit for bit as it was: trials run on copies, and all of them inside a sandbox. Raises E572
    if it could not be restored.
    """
    budget = Deadline(settings.try_budget)
    with untouched(subject.model):
        attempts = _prepare(subject, report, settings, budget)
        if attempts is not None:
            return _treat_all(attempts, report, settings, budget)
    spent = budget_spent(settings)
    unproven = tuple(dataclasses.replace(p, reason=p.reason or spent) for p in report.prescriptions)
    return dataclasses.replace(report, prescriptions=unproven)


def _treat_all(attempts: Attempts, report: Report, settings: Settings, budget: Deadline) -> Report:
    """Treat one finding after the other, each within its share of what time is left."""
    if attempts.remark:
        first, *others = report.profiles
        told = dataclasses.replace(first, assumptions=(*first.assumptions, attempts.remark))
        report = dataclasses.replace(report, profiles=(told, *others))
    sick = [f for f in report.findings if f.grave]
    cures: list[tuple[Prescription, ...]] = []
    before, triable = 0, sum(bool(p.edits) for p in report.prescriptions)
    for i, finding in enumerate(sick):
        mine = report.prescriptions_for(finding)
        share = Deadline(budget.left / (len(sick) - i))
        treatment = Treatment(attempts, finding, settings, share, (before, triable))
        treatment.run(mine, cures)
        before += sum(bool(p.edits) for p in mine)
        if treatment.cure and treatment.cure not in cures:
            cures.append(treatment.cure)
        stated = tuple(treatment.stated(p) if p in mine else p for p in report.prescriptions)
        report = dataclasses.replace(report, trials=(*report.trials, *treatment.best_first()), prescriptions=stated)
        phase.interim(report)
    return report


def _prepare(subject: Subject, report: Report, settings: Settings, budget: Deadline) -> Attempts | None:
    """Find out how the model can be copied; None when that alone takes all the time."""
    try:
        with budget.kept():
            # What is accepted was there before too: a copy that has it as well has got nothing new.
            found = (*report.findings, *(s.finding for s in report.suppressed))
            return Attempts(subject, Diagnosis(report.profiles, found), settings)
    except OutOfTime:
        return None
