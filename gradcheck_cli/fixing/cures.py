"""Choose, for one finding after the other, the first cure that can be written into the source and holds there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.fixing.comparison import complaint
from gradcheck_cli.fixing.draft import CannotPatch
from gradcheck_cli.fixing.files import Sources
from gradcheck_cli.fixing.patching import patch
from gradcheck_cli.records import Finding, Profile, Report, Trial

_OUR_FAULT = "E599"
Scan = Callable[[Mapping[str, str]], Report]  # scans with these texts in place of the files


@dataclass(frozen=True, slots=True)
class Refusal:
    """A cure that no patch could be made of, and why."""

    trial: Trial
    reason: str


@dataclass(slots=True)
class Fix:
    """The patch so far: new texts by file name, the cures in it, the report of the patched source, what was refused."""

    report: Report
    texts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cured: list[tuple[Finding, Trial]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    uncured: list[Finding] = field(default_factory=list)  # findings for which no trial was a cure
    after: Report | None = None


def find_fix(report: Report, sources: Sources, scan: Scan) -> Fix:
    """Patch the gravest finding first; each further one on top, as long as the whole still holds."""
    fix = Fix(report)
    for finding in report.findings:
        if finding.severity == "note" or _gone(fix, finding):
            continue
        cures = [t for t in report.trials if t.outcome == "cured" and _is_for(t, finding)]
        if not cures:
            fix.uncured.append(finding)
        for trial in cures:
            try:
                _extend(fix, finding, trial, sources, scan)
                break
            except CannotPatch as refused:
                fix.refused.append(Refusal(trial, str(refused)))
    return fix


def _extend(fix: Fix, finding: Finding, trial: Trial, sources: Sources, scan: Scan) -> None:
    """Take one more cure into the patch; raises CannotPatch and leaves the patch as it was."""
    together = [*fix.cured, (finding, trial)]
    profile = _profile_of(fix.report, trial)
    if any(_profile_of(fix.report, t) is not profile for _, t in fix.cured):
        raise CannotPatch("it belongs to another objective than the cures already in the patch")
    edits = [edit for _, each in together for edit in each.edits]
    texts, notes = patch(profile, edits, sources.text)
    try:
        after = scan(texts)
    except GradcheckError as error:
        if error.id == _OUR_FAULT:
            raise
        raise CannotPatch(f"the patched source does not run: {error.what}: {error.why}") from error
    if reason := complaint(fix.report, after, [f for f, _ in together]):
        raise CannotPatch(reason)
    fix.texts, fix.notes, fix.after, fix.cured = texts, notes, after, together


def _gone(fix: Fix, finding: Finding) -> bool:
    """Say whether the patch so far cures this finding as well."""
    return fix.after is not None and not complaint(fix.report, fix.after, [*(f for f, _ in fix.cured), finding])


def _is_for(trial: Trial, finding: Finding) -> bool:
    return (trial.code, trial.layer, trial.objective) == (finding.code, finding.layer, finding.objective)


def _profile_of(report: Report, trial: Trial) -> Profile:
    return next((p for p in report.profiles if p.objective.name == trial.objective), report.profiles[0])
