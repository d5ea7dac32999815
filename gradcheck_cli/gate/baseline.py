"""Known findings: the file that holds them, and what of a scan they accept.

The file is JSON, meant to be committed. A finding that is in it does not count unless it has become worse: then it is as
new. An entry that is not found again is stale.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradcheck_cli import __version__
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.records import (
    BaselineCheck,
    BaselineEntry,
    Finding,
    Report,
    Scan,
    Suppressed,
    from_dict,
    to_dict,
)
from gradcheck_cli.rules import gc901_unused_suppression
from gradcheck_cli.rules.effect import read_effect
from gradcheck_cli.rules.reading import Quantity
from gradcheck_cli.settings import Settings
from gradcheck_cli.targets import is_file, split

SCHEMA_VERSION = "1.0"
_LARGEST = 64 << 20  # bytes; an entry takes about 400
_MEASURED = ("seed", "batches", "device", "dtype")  # settings that are recorded one by one, to be named when they differ
_OTHER = ("init", "loss", "reduce", "optimizer", "lr", "input", "unfreeze", "exact", "rules")  # recorded as one hash

# By how much a known finding may get worse before it counts again. Chosen by us: an order of magnitude of a gradient, and for
# a share and for a count, steps that no second run of the same model takes (benchmarks/stability.py).
MARGIN_DECADES = 1.0
MARGIN_SHARE = 0.2
MARGIN_COUNT = 2.0  # times


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A baseline file: its entries, and for each target under what conditions it was scanned."""

    schema_version: str = SCHEMA_VERSION
    tool_version: str = __version__
    targets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    findings: tuple[BaselineEntry, ...] = ()


def read_baseline(path: str) -> Baseline:
    """Read a baseline of this or an older minor version. Raises E683 for what is none, E684 for a newer major version."""
    try:
        file = Path(path)
        if file.stat().st_size > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
        document = json.loads(file.read_text("utf-8"))
        if not isinstance(document, dict) or not isinstance(document.get("findings"), list):
            raise ValueError("it has no list of findings")
        version = str(document.get("schema_version", ""))
        if not _readable(version):
            raise GradcheckError(
                "E684",
                f"the baseline {path} has the form {version or 'unknown'}",
                f"this version of gradcheck reads {SCHEMA_VERSION.split('.')[0]}.x",
                "update gradcheck, or write the baseline anew",
            )
        return _checked(from_dict(Baseline, document))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    except (ValueError, TypeError, KeyError, AttributeError, StopIteration, RecursionError) as error:
        raise _unreadable(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from None


def _checked(baseline: Baseline) -> Baseline:
    """Raise ValueError for values of another type than the records say: a person may have edited the file."""
    if not isinstance(baseline.targets, dict) or not all(isinstance(how, dict) for how in baseline.targets.values()):
        raise ValueError("`targets` is no table of tables")
    for entry in baseline.findings:
        texts = (entry.fingerprint, entry.target, entry.code, entry.name, entry.layer, entry.label, entry.unit, entry.reason)
        number = entry.value is None or (isinstance(entry.value, float) and not isinstance(entry.value, bool))
        if not all(isinstance(text, str) for text in texts) or not number:
            raise ValueError(f"the entry for {entry.code} at {entry.layer} holds a value of a wrong type")
    return baseline


def _readable(version: str) -> bool:
    return version.partition(".")[0] == SCHEMA_VERSION.partition(".")[0]


def _unreadable(path: str, why: str) -> GradcheckError:
    return GradcheckError(
        "E683",
        f"cannot read the baseline {path}",
        why,
        f"write it with: gradcheck baseline write --baseline {path}",
    )


def render_baseline(baseline: Baseline) -> str:
    """Write a baseline so that two of them differ in few lines: sorted, one value a line."""
    ordered = sorted(baseline.findings, key=lambda e: (e.target, e.code, e.layer, e.parameter or "", e.fingerprint))
    document = to_dict(dataclasses.replace(baseline, targets=dict(sorted(baseline.targets.items())), findings=tuple(ordered)))
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


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
        remarks=_remarks(baseline, settings, report),
    )
    return dataclasses.replace(report, findings=tuple(counted), suppressed=(*report.suppressed, *known), baseline=check)


def _matched(entries: Sequence[BaselineEntry], findings: Iterable[Finding]) -> dict[str, BaselineEntry]:
    """Pair findings with entries by fingerprint, and what a whole path causes by code.

    A finding about a path blames the kind of layer that loses most; where two kinds lose about the same, which of them it
    names is a matter of rounding, and it is known all the same.
    """
    by_print = {entry.fingerprint: entry for entry in entries}
    findings = list(findings)
    match = {f.fingerprint: by_print[f.fingerprint] for f in findings if f.fingerprint in by_print}
    taken = {entry.fingerprint for entry in match.values()}
    for finding in findings:
        if finding.fingerprint not in match and "blame_layers" in finding.facts:
            left = [e for e in entries if e.code == finding.code and e.fingerprint not in taken]
            if left:
                match[finding.fingerprint] = left[0]
                taken.add(left[0].fingerprint)
    return match


def _worsened(entry: BaselineEntry, finding: Finding, report: Report, settings: Settings) -> str:
    """Say by how much a known finding has become worse, in words; empty when it is within the margin."""
    now = _measured(finding, report, settings)
    if now is None or entry.value is None or (now[0].label, now[0].unit) != (entry.label, entry.unit):
        return ""
    quantity, value = now
    if not math.isfinite(value):
        worse = math.isfinite(entry.value)
    else:
        worse = math.isfinite(entry.value) and _step(quantity, entry.value, value) >= 1.0
    unit = f" {entry.unit}" if entry.unit == "decades" else ""
    return f"it was {entry.value:.3g}{unit} when the baseline was written, and is {value:.3g}{unit}" if worse else ""


def _step(quantity: Quantity, before: float, now: float) -> float:
    """Return how many margins a number has moved to the bad side; of "either" side, away from where it was."""
    if quantity.unit == "decades":
        moved = (now - before) / MARGIN_DECADES
    elif quantity.log:
        moved = math.log10(max(now, 1e-300) / max(before, 1e-300)) / MARGIN_DECADES
    elif quantity.unit == "share":
        moved = (now - before) / MARGIN_SHARE
    else:
        moved = math.log(max(now, 1e-300) / max(before, 1e-300)) / math.log(MARGIN_COUNT)
    if quantity.worse == "either":
        return abs(moved)
    return moved + 1e-9 if quantity.worse == "above" else -moved + 1e-9  # 2.0 / 1.0 is not below a margin of 2


def _measured(finding: Finding, report: Report, settings: Settings) -> tuple[Quantity, float] | None:
    return None if finding.code == gc901_unused_suppression.RULE.code else read_effect(finding, report.profiles, settings)


def conditions(settings: Settings, report: Report) -> dict[str, Any]:
    """Return under what conditions a target was scanned, as the file records it."""
    others = json.dumps([to_dict(getattr(settings, name)) for name in _OTHER], sort_keys=True, default=str)
    named = {name: to_dict(getattr(settings, name)) for name in _MEASURED}
    named["dtype"] = report.profiles[0].dtype
    return {**named, "settings": hashlib.blake2b(others.encode(), digest_size=8).hexdigest()}


def _remarks(baseline: Baseline, settings: Settings, report: Report) -> tuple[str, ...]:
    """Say where this scan was made under other conditions than the one that the baseline was written from."""
    then = baseline.targets.get(settings.identity)
    if then is None:
        return ("the baseline was written without this target",) if baseline.targets else ()
    now = conditions(settings, report)
    said = [
        f"the baseline was written with {name} {then[name]}, this scan has {name} {now[name]}"
        for name in _MEASURED
        if name in then and then[name] != now[name]
    ]
    if then.get("settings", now["settings"]) != now["settings"]:
        said.append("the baseline was written with other settings of the loss, the optimizer, the input or the limits")
    return tuple(said)


def rewritten(old: Baseline, scans: Sequence[tuple[Scan, Settings]], *, add: bool) -> Baseline:
    """Return the baseline after a scan of some targets, made without one; entries of other targets, and of rules that were
    not asked, stay.

    `add`: findings that are not in it are added, and known ones get the numbers of now; else only stale ones go.
    """
    targets = dict(old.targets)
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
            targets[settings.identity] = conditions(settings, report)
            for finding in findings:
                known = match.get(finding.fingerprint)
                kept[finding.fingerprint] = _entry(finding, report, settings, known.reason if known else "")
    return Baseline(targets=targets, findings=tuple(kept.values()))


def without_missing_files(baseline: Baseline, root: Path) -> Baseline:
    """Take out the entries of targets whose file is gone from the project."""

    def gone(target: str) -> bool:
        place = split(target)[0]
        return is_file(place) and not (root / place).exists()

    return dataclasses.replace(
        baseline,
        targets={target: how for target, how in baseline.targets.items() if not gone(target)},
        findings=tuple(entry for entry in baseline.findings if not gone(entry.target)),
    )


def _entry(finding: Finding, report: Report, settings: Settings, reason: str) -> BaselineEntry:
    measured = _measured(finding, report, settings)
    return BaselineEntry(
        fingerprint=finding.fingerprint,
        target=settings.identity,
        code=finding.code,
        name=finding.name,
        layer=finding.layer,
        parameter=finding.parameter,
        severity=finding.severity,
        label=measured[0].label if measured else "",
        unit=measured[0].unit if measured else "",
        value=measured[1] if measured else None,
        reason=reason,
    )
