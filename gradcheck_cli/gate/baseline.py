"""Known findings: what of a scan they accept, and how a scan changes them.

A finding that the baseline holds does not count unless it has become worse: then it is as new. An entry that is not found
again is stale.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from gradcheck_cli.gate.baseline_file import Baseline, Conditions
from gradcheck_cli.records import (
    BaselineCheck,
    BaselineEntry,
    Finding,
    Report,
    Scan,
    Suppressed,
    at_least,
    to_dict,
)
from gradcheck_cli.rules import gc901_unused_suppression
from gradcheck_cli.rules.effect import read_effect, worsening
from gradcheck_cli.rules.reading import Quantity, Reading
from gradcheck_cli.settings import Settings

_NAMED = ("seed", "batches", "device", "dtype")  # conditions that are named where they differ
_HASHED = ("init", "loss", "reduce", "optimizer", "lr", "input", "unfreeze", "exact", "rules")  # settings behind the one hash

# By how much the number behind a known finding may get worse before it counts again: an order of magnitude of a gradient or
# of a ratio, a fifth of all units or samples, twice a count. Chosen by us.
MARGIN_DECADES = 1.0
MARGIN_SHARE = 0.2
MARGIN_DOUBLINGS = 1.0
_ROUNDING = 1e-9  # what is worse by the margin itself counts, also where a difference of floats falls just short of it
_A = {"error": "an error", "warning": "a warning", "note": "a note"}


def apply_baseline(report: Report, baseline: Baseline, settings: Settings) -> Report:
    """Move known findings that are no worse to the suppressed ones; say what is stale and what was measured otherwise."""
    mine = [e for e in baseline.findings if e.target == settings.identity and e.code in report.checked]
    everything = [*report.findings, *(s.finding for s in report.suppressed)]
    match = _matched(mine, everything)
    counted: list[Finding] = []
    known: list[Suppressed] = []
    worse = 0
    for finding in report.findings:
        entry = match.get(finding.fingerprint)
        if entry is None:
            counted.append(finding)
        elif step := _worsened(entry, finding, report, settings):
            counted.append(dataclasses.replace(finding, details=(*finding.details, ("baseline", step))))
            worse += 1
        else:
            known.append(Suppressed(finding=finding, by="baseline", reason=entry.reason))
    found = {entry.fingerprint for entry in match.values()}
    check = BaselineCheck(
        file=Path(os.path.relpath(settings.baseline or "")).as_posix(),
        known=len(known),
        worse=worse,
        stale=tuple(e for e in mine if e.fingerprint not in found),
        remarks=(*_remarks(baseline, settings, report), *_numberless(match, known, report, settings)),
    )
    return dataclasses.replace(report, findings=tuple(counted), suppressed=(*report.suppressed, *known), baseline=check)


def _matched(entries: Sequence[BaselineEntry], findings: Iterable[Finding]) -> dict[str, BaselineEntry]:
    """Pair findings with entries by fingerprint, and what is about a whole path by rule and path.

    A finding about a path blames the kind of layer that loses most; where two kinds lose about the same, which of them it
    names is a matter of rounding, and it is known all the same.
    """
    by_print = {entry.fingerprint: entry for entry in entries}
    findings = list(findings)
    match = {f.fingerprint: by_print[f.fingerprint] for f in findings if f.fingerprint in by_print}
    taken = {entry.fingerprint for entry in match.values()}
    for finding in findings:
        path = finding.facts.get("entry")
        if finding.fingerprint in match or path is None:
            continue
        left = [e for e in entries if (e.code, e.entry) == (finding.code, path) and e.fingerprint not in taken]
        if left:
            match[finding.fingerprint] = left[0]
            taken.add(left[0].fingerprint)
    return match


def _worsened(entry: BaselineEntry, finding: Finding, report: Report, settings: Settings) -> str:
    """Say in what a known finding has become worse than its margin allows; empty when it has not."""
    if finding.severity != entry.severity and at_least(finding.severity, entry.severity):
        return f"it was {_A[entry.severity]} when the baseline was written, and is {_A[finding.severity]}"
    now = _measured(finding, report, settings)
    if now is None or not _comparable(entry, now[0]):
        return ""
    quantity, reading = now
    assert entry.value is not None  # it is comparable
    if worsening(quantity, entry.value, reading) < _margin(quantity) - _ROUNDING:
        return ""
    unit = f" {entry.unit}" if entry.unit == "decades" else ""
    return f"it was {entry.value:.3g}{unit} when the baseline was written, and is {reading.value:.3g}{unit}"


def _comparable(entry: BaselineEntry, quantity: Quantity) -> bool:
    return entry.value is not None and (entry.label, entry.unit) == (quantity.label, quantity.unit)


def _numberless(
    match: Mapping[str, BaselineEntry], known: Iterable[Suppressed], report: Report, settings: Settings
) -> Iterator[str]:
    """Name the entries that accept a finding however bad it is, since they hold no number that it could be held against."""
    for one in known:
        now = _measured(one.finding, report, settings)
        if now is not None and not _comparable(match[one.finding.fingerprint], now[0]):
            entry = f"the entry for {one.finding.code} at `{one.finding.layer}`"
            yield f"{entry} has no {now[0].label}: it is known however bad it is"


def _margin(quantity: Quantity) -> float:
    if quantity.unit == "decades" or quantity.log:
        return MARGIN_DECADES
    return MARGIN_SHARE if quantity.unit == "share" else MARGIN_DOUBLINGS


def _measured(finding: Finding, report: Report, settings: Settings) -> tuple[Quantity, Reading] | None:
    return None if finding.code == gc901_unused_suppression.RULE.code else read_effect(finding, report.profiles, settings)


def _conditions(settings: Settings, report: Report) -> Conditions:
    others = json.dumps([to_dict(getattr(settings, name)) for name in _HASHED], sort_keys=True, default=str)
    return Conditions(
        target=settings.identity,
        seed=settings.seed,
        batches=settings.batches,
        device=settings.device,
        dtype=report.profiles[0].dtype,
        settings=hashlib.blake2b(others.encode(), digest_size=8).hexdigest(),
    )


def _remarks(baseline: Baseline, settings: Settings, report: Report) -> tuple[str, ...]:
    """Say where this scan was made under other conditions than the one that the baseline was written from."""
    now = _conditions(settings, report)
    then = next((how for how in baseline.targets if how.target == now.target), None)
    if then is None:
        return ("the baseline was written without this target",) if baseline.targets else ()
    said = [
        f"the baseline was written with {name} {getattr(then, name)}, this scan has {name} {getattr(now, name)}"
        for name in _NAMED
        if getattr(then, name) != getattr(now, name)
    ]
    if then.settings != now.settings:
        said.append("the baseline was written with other settings of the loss, the optimizer, the input or the limits")
    return tuple(said)


def rewritten(old: Baseline, scans: Sequence[tuple[Scan, Settings]], *, add: bool) -> Baseline:
    """Return the baseline after some targets were scanned without one.

    Entries of other targets stay, and those of rules that were not asked.

    `add`: findings that are not in it are added, and known ones get the numbers of now; else only stale ones go.
    """
    targets = {how.target: how for how in old.targets}
    kept = {entry.fingerprint: entry for entry in old.findings}
    for scan, settings in scans:
        report = scan.report
        if report is None:
            continue
        mine = [e for e in kept.values() if e.target == settings.identity and e.code in report.checked]
        findings = [f for f in report.findings if f.code != gc901_unused_suppression.RULE.code]
        match = _matched(mine, [*findings, *(s.finding for s in report.suppressed)])
        found = {entry.fingerprint for entry in match.values()}
        for entry in mine:
            if add or entry.fingerprint not in found:
                del kept[entry.fingerprint]
        if add:
            targets[settings.identity] = _conditions(settings, report)
            for finding in findings:
                known = match.get(finding.fingerprint)
                kept[finding.fingerprint] = _entry(finding, report, settings, known.reason if known else "")
    return Baseline(targets=tuple(targets.values()), findings=tuple(kept.values()))


def _entry(finding: Finding, report: Report, settings: Settings, reason: str) -> BaselineEntry:
    measured = _measured(finding, report, settings)
    return BaselineEntry(
        fingerprint=finding.fingerprint,
        target=settings.identity,
        code=finding.code,
        name=finding.name,
        layer=finding.layer,
        parameter=finding.parameter,
        entry=str(finding.facts.get("entry", "")),
        severity=finding.severity,
        label=measured[0].label if measured else "",
        unit=measured[0].unit if measured else "",
        value=measured[1].value if measured else None,
        reason=reason,
    )
