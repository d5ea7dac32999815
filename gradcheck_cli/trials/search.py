"""Try the prescriptions of every finding within the time budget: one by one in their order, then combined."""

from __future__ import annotations

import dataclasses

from gradcheck_cli import phase
from gradcheck_cli.diagnosis import Diagnosis
from gradcheck_cli.loading.base import Subject
from gradcheck_cli.probing.sandbox import untouched
from gradcheck_cli.records import Finding, Prescription, Report, Trial
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.attempts import Attempts
from gradcheck_cli.trials.deadline import Deadline, OutOfTime
from gradcheck_cli.trials.treatment import Treatment


def try_remedies(subject: Subject, report: Report, settings: Settings) -> Report:
    """Return the report with trials for its findings, and for each prescription whether it was tried or why not.

    The subject's model stays bit for bit as it was: trials run on copies, and all of them inside a sandbox. Raises E572
    if it could not be restored.
    """
    sick = [f for f in report.findings if f.grave]
    budget = Deadline(settings.try_budget)
    trials: list[Trial] = []
    cures: list[tuple[Prescription, ...]] = []
    prescriptions = list(report.prescriptions)
    before, triable = 0, sum(bool(p.edits) for p in prescriptions)
    with untouched(subject.model):
        attempts = _prepare(subject, report, settings, budget)
        for i, finding in enumerate(sick if attempts else ()):
            assert attempts is not None
            mine = [p for p in prescriptions if _is_for(p, finding)]
            share = Deadline(budget.left / (len(sick) - i))
            treatment = Treatment(attempts, finding, settings, share, (before, triable))
            treatment.run(mine, cures)
            before += sum(bool(p.edits) for p in mine)
            trials += treatment.best_first()
            if treatment.cure and treatment.cure not in cures:
                cures.append(treatment.cure)
            prescriptions = [treatment.stated(p) if _is_for(p, finding) else p for p in prescriptions]
            phase.interim(dataclasses.replace(report, trials=tuple(trials), prescriptions=tuple(prescriptions)))
    if attempts is None:
        spent = f"the time budget of {settings.try_budget:g} s is used up"
        prescriptions = [dataclasses.replace(p, reason=p.reason or spent) for p in prescriptions]
    elif attempts.remark:
        first, *others = report.profiles
        told = dataclasses.replace(first, assumptions=(*first.assumptions, attempts.remark))
        report = dataclasses.replace(report, profiles=(told, *others))
    return dataclasses.replace(report, trials=tuple(trials), prescriptions=tuple(prescriptions))


def _is_for(prescription: Prescription, finding: Finding) -> bool:
    return (prescription.code, prescription.layer) == (finding.code, finding.layer)


def _prepare(subject: Subject, report: Report, settings: Settings, budget: Deadline) -> Attempts | None:
    """Find out how the model can be copied; None when that alone takes all the time."""
    try:
        with budget.kept():
            return Attempts(subject, Diagnosis(report.profiles, report.findings), settings)
    except OutOfTime:
        return None
