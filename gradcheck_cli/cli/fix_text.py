"""What `gradcheck fix` says on stderr: what is cured, by how much, and what could not be patched."""

from __future__ import annotations

from gradcheck_cli.fixing.cures import Cure, Fix
from gradcheck_cli.records import Finding, Report
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.measured import effect
from gradcheck_cli.rules.effect import measure_effect
from gradcheck_cli.settings import Settings


def nothing_to_fix(target: str, report: Report) -> str:
    """Say that there is nothing that a patch should cure."""
    notes = len(report.findings)
    found = f"{notes} note{'s' * (notes != 1)}, no error or warning" if notes else "nothing found"
    return f"{clean(target)}: nothing to fix ({found})\n"


def summary(fix: Fix, settings: Settings) -> str:
    """Write each cure with its effect as the patched source was scanned, then what was left, why, and its snippet."""
    lines = []
    for cure in fix.cures:
        trained = "" if cure.trial is not None and cure.trial.training is not None else "; not trained"
        lines.append(f"cures {_named(cure.finding)}: {cure.title}{_effect(fix, cure, settings)}{trained}")
    lines += [f"  note: {note}" for note in fix.notes]
    for finding in fix.uncured:
        refused = [r for r in fix.refused if r.cure.finding is finding]
        lines.append(f"no patch for {_named(finding)}" + ("" if refused else ": no remedy at hand cures a copy"))
        for refusal in refused:
            lines.append(f"  {refusal.cure.title}: {refusal.reason}")
        if refused:
            lines += [f"  | {line}" for line in _snippet(fix.report, refused[0].cure).split("\n") if line]
    return "".join(f"{clean(line)}\n" for line in lines)


def _named(finding: Finding) -> str:
    return f"{finding.code} {finding.name}" + (f" at `{finding.layer}`" if finding.layer else "")


def _effect(fix: Fix, cure: Cure, settings: Settings) -> str:
    """Write the finding's number before and after, both from scans of the source."""
    assert fix.after is not None
    measured = measure_effect(cure.finding, fix.report.profiles, fix.after.profiles, settings)
    unit = "" if measured.unit == "share" else f" {measured.unit}"
    return f" ({measured.label} {effect(measured)}{unit})".replace(" )", ")")


def _snippet(report: Report, cure: Cure) -> str:
    return "\n".join(p.snippet for p in report.prescriptions_for(cure.finding) if p.remedy in cure.remedies)
