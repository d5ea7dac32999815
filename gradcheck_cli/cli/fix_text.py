"""What `gradcheck fix` says on stderr: what is cured, by how much, and what could not be patched."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from gradcheck_cli.fixing.cures import Cure, Fix, Refusal, passed_over
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


def trying_all(blocked: Sequence[Refusal]) -> str:
    """Say why all suggestions are tried now."""
    lines = ["the first cure cannot be written into the source, so all suggestions are tried now:"]
    lines += [f"  {r.cure.title} for {_named(r.cure.finding)}: {r.reason}" for r in blocked]
    return "".join(f"{clean(line)}\n" for line in lines)


def summary(fix: Fix, settings: Settings) -> str:
    """Write each cure with its effect as the patched source was scanned, then what was left, why, and its snippet."""
    lines = []
    for cure in fix.cures:
        lines.append(f"cures {_named(cure.finding)}: {cure.title}{_effect(fix, cure, settings)}{_trained(cure)}")
        lines += [f"  passed over: {r.cure.title}: {r.reason}" for r in passed_over(fix, cure.finding)]
    lines += [f"  note: {note}" for note in fix.notes]
    for finding in fix.uncured:
        lines += _no_patch(fix, finding)
    return "".join(f"{clean(line)}\n" for line in lines)


def how_to_apply(command: Sequence[str], folder: str) -> str:
    """Write the commands that make the change which the diff shows; `folder`: where it is to be applied, "" for here."""
    options = list(command)
    own = options.index("--") if "--" in options else len(options)
    written = shlex.join(["gradcheck", *options[:own], "--write", *options[own:]])
    there = f" -d {shlex.quote(folder)}" if folder else ""
    return clean(f"apply it with: {written}, or {shlex.join(['gradcheck', *options])} | patch -p1{there}") + "\n"


def still_there(fix: Fix) -> str:
    """Name what the patch leaves as it was; empty when it cures everything."""
    names = ", ".join(_named(f) for f in fix.uncured)
    return clean(f"not cured by this patch: {names}") + "\n" if names else ""


def _trained(cure: Cure) -> str:
    if cure.trial is None:
        return "; unproven: not trained, for lack of time (--try-budget gives more)"
    if cure.trial.training is None:
        return "; not trained"
    return "; its copy trained worse" if cure.trial.training.verdict == "worse" else ""


def _no_patch(fix: Fix, finding: Finding) -> list[str]:
    """Say what was refused; else what trials came to; else why none was made. Then how the first suggestion is written."""
    report = fix.report
    refused, suggested = passed_over(fix, finding), report.prescriptions_for(finding)
    trials = report.trials_for(finding)
    tried = [f"  {t.title}: {t.outcome}{f', {t.reason}' if t.reason else ''}" for t in trials if t.outcome != "cured"]
    untried = [f"  {p.title}: {p.reason or 'advice that no trial carries out'}" for p in suggested if p.status == "not tried"]
    if refused:
        head, lines = "", [*(f"  {r.cure.title}: {r.reason}" for r in refused), *tried]
    elif trials:
        head, lines = ": nothing that was tried cures a copy", tried + untried
    else:
        head, lines = ": nothing could be tried" if suggested else ": there is no suggestion for it", untried
    first = [*(r.cure.remedies for r in refused), *(t.remedies for t in trials), *((p.remedy,) for p in suggested)]
    snippets = ["\n".join(p.snippet for p in suggested if p.remedy in remedies) for remedies in first]
    snippet = next((x for x in snippets if x), "")
    return [f"no patch for {_named(finding)}{head}", *lines, *(f"  | {line}" for line in snippet.split("\n") if line)]


def _named(finding: Finding) -> str:
    return f"{finding.code} {finding.name}" + (f" at `{finding.layer}`" if finding.layer else "")


def _effect(fix: Fix, cure: Cure, settings: Settings) -> str:
    """Write the finding's number before and after, both from scans of the source."""
    assert fix.after is not None
    measured = measure_effect(cure.finding, fix.report.profiles, fix.after.profiles, settings)
    unit = "" if measured.unit == "share" else f" {measured.unit}"
    return f" ({measured.label} {effect(measured)}{unit})".replace(" )", ")")
