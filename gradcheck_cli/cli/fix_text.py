"""What `gradcheck fix` says on stderr: what is cured, by how much, and what could not be patched."""

from __future__ import annotations

from gradcheck_cli.fixing.cures import Fix
from gradcheck_cli.records import Effect, Finding, Report, Trial
from gradcheck_cli.reporting.clean import clean


def nothing_to_fix(report: Report) -> str:
    """Say that the scan found nothing that a patch could cure."""
    return f"{clean(report.profiles[0].target if report.profiles else '')}: nothing to fix\n"


def summary(fix: Fix) -> str:
    """Write a line for each cure in the patch, and the reason and the snippet for what was left."""
    lines = []
    for finding, trial in fix.cured:
        lines.append(
            f"cures {_named(finding)}: {trial.title}{_effect(trial.effect)}; the patched source was scanned and is free of it"
        )
    lines += [f"  note: {note}" for note in fix.notes]
    done = {(f.code, f.layer) for f, _ in fix.cured}
    open_refusals = [r for r in fix.refused if (r.trial.code, r.trial.layer) not in done]
    for refusal in open_refusals:
        lines.append(f"no patch for {refusal.trial.code} by `{refusal.trial.title}`: {refusal.reason}")
        lines += [f"  | {line}" for line in _snippet(fix.report, refusal.trial).split("\n") if line]
    for finding in fix.uncured:
        lines.append(f"no patch for {_named(finding)}: no remedy that was tried on a copy has cured it")
    return "".join(f"{clean(line)}\n" for line in lines)


def _named(finding: Finding) -> str:
    return f"{finding.code} {finding.name}" + (f" at `{finding.layer}`" if finding.layer else "")


def _effect(effect: Effect | None) -> str:
    if effect is None:
        return ""
    after = "not measurable any more" if effect.after is None else f"{effect.after:.3g}"
    return f" ({effect.label} {effect.before:.3g} → {after} {effect.unit}".rstrip() + ")"


def _snippet(report: Report, trial: Trial) -> str:
    found = [p for p in report.prescriptions if p.remedy in trial.remedies and (p.code, p.layer) == (trial.code, trial.layer)]
    return "\n".join(p.snippet for p in found)
