"""Choose, for one finding after the other, the first cure that can be written into the source and holds there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.fixing.comparison import complaint, renamed, stray
from gradcheck_cli.fixing.draft import CannotPatch
from gradcheck_cli.fixing.files import Sources
from gradcheck_cli.fixing.patching import patch
from gradcheck_cli.records import Edit, Finding, Prescription, Profile, Report, Trial

_OUR_FAULT = "E599"
_MOST_UNTRIED = 4  # suggestions for one finding that are scanned as a patch without a trial before

Scan = Callable[[Mapping[str, str]], Report]  # scans with these texts in place of the files


@dataclass(frozen=True, slots=True)
class Cure:
    """Edits for a finding, from a trial that cured it; `trial` None: from a suggestion that there was no time to try."""

    finding: Finding
    title: str
    remedies: tuple[str, ...]
    edits: tuple[Edit, ...]
    trial: Trial | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A cure that no patch could be made of, and why."""

    cure: Cure
    reason: str


@dataclass(slots=True)
class Fix:
    """The patch so far: new texts by file name, the cures in it, the report of the patched source, what was refused."""

    report: Report
    texts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cures: list[Cure] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    uncured: list[Finding] = field(default_factory=list)  # findings that no remedy at hand could be patched for
    after: Report | None = None


def find_fix(report: Report, sources: Sources, scan: Scan) -> Fix:
    """Patch the gravest finding first; each further one on top, as long as the whole still holds."""
    fix = Fix(report)
    for finding in report.findings:
        if not finding.grave or _gone(fix, finding):
            continue
        if not any(_extended(fix, cure, sources, scan) for cure in _cures_for(report, finding)):
            fix.uncured.append(finding)
    return fix


def passed_over(fix: Fix, finding: Finding) -> list[Refusal]:
    """Return what would have come first for a finding, had it been possible to write it into the source."""
    return [r for r in fix.refused if r.cure.finding is finding]


def worth_more_trials(fix: Fix) -> list[Refusal]:
    """Return the first refusal for each finding whose cures cannot be written, and that has suggestions left to try."""
    found = []
    for finding in fix.uncured:
        refused = [r for r in passed_over(fix, finding) if r.cure.trial is not None]
        left = [p for p in fix.report.prescriptions_for(finding) if p.edits and p.status == "not tried"]
        found += refused[:1] if left else []
    return found


def _cures_for(report: Report, finding: Finding) -> list[Cure]:
    """Return what cured a copy, best first; suggestions as they are only where no trial at all could be made in time."""
    tried = report.trials_for(finding)
    cured = sorted((t for t in tried if t.outcome == "cured"), key=_trains_worse)
    if tried:
        return [Cure(finding, t.title, t.remedies, t.edits, t) for t in cured]
    untried = [
        p for p in report.prescriptions_for(finding) if p.edits and p.status == "not tried" and p.applicability != "display"
    ]
    return [_untried(finding, p) for p in untried[:_MOST_UNTRIED]]


def _trains_worse(trial: Trial) -> bool:
    return trial.training is not None and trial.training.verdict in ("worse", "diverged")


def _untried(finding: Finding, prescription: Prescription) -> Cure:
    return Cure(finding, prescription.title, (prescription.remedy,), prescription.edits)


def _extended(fix: Fix, cure: Cure, sources: Sources, scan: Scan) -> bool:
    """Take one more cure into the patch, or note why not and leave the patch as it was."""
    try:
        _extend(fix, cure, sources, scan)
    except CannotPatch as refused:
        fix.refused.append(Refusal(cure, str(refused)))
        return False
    return True


def _extend(fix: Fix, cure: Cure, sources: Sources, scan: Scan) -> None:
    together = [*fix.cures, cure]
    profile = _profile_of(fix.report, cure)
    if any(_profile_of(fix.report, other) is not profile for other in fix.cures):
        raise CannotPatch("it belongs to another objective than the cures already in the patch")
    edits = [edit for each in together for edit in each.edits]
    texts, notes = patch(profile, edits, sources.text)
    try:
        after = scan(texts)
    except GradcheckError as error:
        if error.id == _OUR_FAULT:
            raise
        raise CannotPatch(f"the patched source does not run: {error.what}: {error.why}") from error
    if reason := complaint(fix.report, after, [each.finding for each in together]) or stray(profile, after.profiles, edits):
        raise CannotPatch(reason)
    notes += renamed(profile, after.profiles)
    fix.texts, fix.notes, fix.after, fix.cures = texts, notes, after, together


def _gone(fix: Fix, finding: Finding) -> bool:
    """Say whether the patch so far cures this finding as well."""
    return fix.after is not None and not complaint(fix.report, fix.after, [*(c.finding for c in fix.cures), finding])


def _profile_of(report: Report, cure: Cure) -> Profile:
    return next((p for p in report.profiles if p.objective.name == cure.finding.objective), report.profiles[0])
