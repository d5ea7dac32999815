"""Compare reports of the same target: what each layer receives now against an earlier commit, and what was found since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.gate.levels import layer_shifts, only_in, spine_shifts
from gradcheck_cli.records import (
    Compared,
    ComparedReport,
    Comparison,
    Finding,
    ObjectiveComparison,
    Profile,
    Report,
    Scan,
    Shift,
    Uncompared,
    Verdict,
    to_dict,
)
from gradcheck_cli.targets import moved

_GRAVEST: tuple[Verdict, ...] = ("worse", "better", "changed", "alike")
_Pairs = Sequence[tuple[Profile, Profile]]


def compare(old: Report, new: Report) -> Comparison:
    """Compare two reports layer by layer. Raises E686 where they have no layer in common that a gradient reaches."""
    pairs = _paired_profiles(old, new)
    objectives = tuple(_compare_profiles(a, b) for a, b in pairs)
    _refuse_emptiness(new.target, pairs, objectives)
    verdicts = {shift.verdict for shift in _shifts(objectives)}
    fresh, gone = _findings(old, new)
    return Comparison(
        old=_in_short(old),
        new=_in_short(new),
        verdict=next(verdict for verdict in _GRAVEST if verdict in verdicts),
        objectives=objectives,
        new_findings=fresh,
        gone_findings=gone,
        remarks=(
            *_other_names(old, new),
            *_other_conditions(pairs),
            *_other_rules(old, new),
            *_other_losses(old, new, pairs),
            *_other_spines(pairs),
        ),
    )


def worst_regression(comparison: Comparison) -> float:
    """Return by how many decades the worst layer or spine is further from the loss end's gradient; inf where it is gone."""
    return max(shift.worsening for shift in _shifts(comparison.objectives))


def exit_code(compared: Compared, fail_on_regression: float | None) -> int:
    """Return 2 where a target has no verdict, 1 for a regression of at least so many decades, else 0."""
    if any(each.blocks for each in compared.uncompared):
        return 2
    worst = max(worst_regression(comparison) for comparison in compared.comparisons)
    return int(fail_on_regression is not None and worst >= fail_on_regression)


def compare_scans(old: Sequence[Scan], new: Sequence[Scan]) -> Compared:
    """Compare what two documents hold, target by target. Raises E686 where nothing can be compared.

    Targets are matched by what they name; a single one on each side is compared whatever it is called.
    """
    comparisons, uncompared = [], []
    for scan, earlier in _paired_scans(old, new):
        made = _compare_scan(earlier, scan)
        if isinstance(made, Comparison):
            comparisons.append(made)
        else:
            uncompared.append(made)
    if not comparisons:
        told = "; ".join(f"{each.target}: {each.reason}" if each.target else each.reason for each in uncompared)
        raise _nothing(told or "there is no target in them")
    return Compared(comparisons=tuple(comparisons), uncompared=tuple(uncompared))


def _paired_scans(old: Sequence[Scan], new: Sequence[Scan]) -> Iterator[tuple[Scan | None, Scan | None]]:
    """Each new scan with its earlier one, then the earlier ones that have no new one."""
    if len(old) == len(new) == 1:
        yield new[0], old[0]
        return
    earlier: dict[str, Scan] = {}
    for scan in old:  # the first of a name counts
        earlier.setdefault(_identity(scan.target, scan.report), scan)
    now = {_identity(scan.target, scan.report): scan for scan in new}
    for name, scan in now.items():
        yield scan, earlier.get(name)
    for name, scan in earlier.items():
        if name not in now:
            yield None, scan


def _identity(target: str, report: Report | None) -> str:
    """What a target is known by; of a failed one, or in a report before schema 1.2, what it is called."""
    return (report.identity if report else "") or moved(target, Path())


def _compare_scan(old: Scan | None, new: Scan | None) -> Comparison | Uncompared:
    if new is None:
        assert old is not None
        return Uncompared(target=old.target, reason="it is only in the old document", blocks=False)
    if new.report is None:
        return Uncompared(target=new.target, reason=f"there is no verdict in the new document{_why(new)}", blocks=True)
    if old is None:
        return Uncompared(target=new.target, reason="it is only in the new document", blocks=False)
    if old.report is None:
        return Uncompared(target=new.target, reason=f"there is no verdict in the old document{_why(old)}", blocks=False)
    try:
        return compare(old.report, new.report)
    except GradcheckError as error:
        return Uncompared(target=new.target, reason=error.why, blocks=True)


def _why(scan: Scan) -> str:
    return f" ({scan.error.id}: {scan.error.what})" if scan.error else ""


def _paired_profiles(old: Report, new: Report) -> _Pairs:
    """Match the losses by name; a single one on each side whatever its name is."""
    if len(old.profiles) == len(new.profiles) == 1:
        return [(old.profiles[0], new.profiles[0])]
    earlier = {profile.objective.name: profile for profile in old.profiles}
    return [(earlier[p.objective.name], p) for p in new.profiles if p.objective.name in earlier]


def _compare_profiles(old: Profile, new: Profile) -> ObjectiveComparison:
    return ObjectiveComparison(
        name=new.objective.name,
        layers=layer_shifts(old, new),
        spines=spine_shifts(old, new),
        added=only_in(new, old),
        removed=only_in(old, new),
    )


def _shifts(objectives: Iterable[ObjectiveComparison]) -> Iterator[Shift]:
    for each in objectives:
        yield from (layer.shift for layer in each.layers)
        yield from (spine.shift for spine in each.spines)


def _refuse_emptiness(target: str, pairs: _Pairs, objectives: Sequence[ObjectiveComparison]) -> None:
    """Raise E686 unless a gradient of at least one layer was compared: a gate that checked nothing must not be green.

    A module that only holds layers does not count: its name may stay when all that it does is replaced.
    """
    if not pairs:
        raise _nothing("no loss has the same name in both", target)
    leaves = {layer.name for pair in pairs for profile in pair for layer in profile.layers if layer.leaf}
    common = [layer.shift for each in objectives for layer in each.layers if layer.layer in leaves]
    if not common:
        raise _nothing("no layer has the same name in both", target)
    if not any(s.verdict != "unknown" and "measured" in (s.old.arrival, s.new.arrival) for s in common):
        raise _nothing("no gradient was measured at a layer that is in both", target)


def _nothing(why: str, target: str = "") -> GradcheckError:
    return GradcheckError(
        "E686",
        f"nothing to compare in the two reports{f' of {target}' if target else ''}",
        why,
        "compare two reports of one model; layers and targets are matched by their names",
    )


def _findings(old: Report, new: Report) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return what was found only now, and what is gone; accepted findings are known, and rules not asked say nothing."""
    before, now = _known(old), _known(new)
    fresh = [f for f in new.findings if _key(f) not in before and _asked(f.code, old)]
    gone = [f for f in old.findings if _key(f) not in now and _asked(f.code, new)]
    # Which kind of layer on a path loses most can be a matter of rounding: the same path is then found at another layer.
    paths = {f.code for f in fresh if "blame_layers" in f.facts} & {f.code for f in gone if "blame_layers" in f.facts}
    return tuple(f for f in fresh if f.code not in paths), tuple(f for f in gone if f.code not in paths)


def _known(report: Report) -> set[tuple[str, str, str | None]]:
    return {_key(finding) for finding in (*report.findings, *(s.finding for s in report.suppressed))}


def _key(finding: Finding) -> tuple[str, str, str | None]:
    return finding.code, finding.layer, finding.parameter


def _asked(code: str, report: Report) -> bool:
    """Reports before schema 1.2 do not say which rules were asked: all of them, one must assume."""
    return not report.checked or code in report.checked


def _in_short(report: Report) -> ComparedReport:
    first = report.profiles[0]
    return ComparedReport(
        target=report.target,
        tool_version=report.tool_version,
        model_kind=first.model_kind,
        parameter_count=first.parameter_count,
    )


def _other_names(old: Report, new: Report) -> Iterator[str]:
    if _identity(old.target, old) != _identity(new.target, new):
        yield "the two reports are of targets with different names"


def _other_conditions(pairs: _Pairs) -> Iterator[str]:
    """Say what the two were measured under differently: part of the change may be its doing."""
    old, new = pairs[0]
    conditions = (
        ("seed", old.seed, new.seed),
        ("batch size", old.batch_size, new.batch_size),
        ("batch", old.batch_origin, new.batch_origin),
        ("device", old.device, new.device),
        ("dtype", old.dtype, new.dtype),
        ("mode", old.mode, new.mode),
        ("torch", old.versions.get("torch"), new.versions.get("torch")),
        *(("loss", _loss(a), _loss(b)) for a, b in pairs),
    )
    for what, before, after in conditions:
        if before != after and None not in (before, after) and "" not in (before, after):
            yield f"another {what}: {before} → {after}"


def _loss(profile: Profile) -> str:
    name, kind = profile.objective.name, profile.objective.kind
    return name if name == kind else f"{name} ({kind})"


def _other_rules(old: Report, new: Report) -> Iterator[str]:
    """Say where findings come or go because other rules were asked, or with other limits."""
    for left, right, where in ((old, new, "old"), (new, old, "new")):
        only = [code for code in left.checked if right.checked and code not in right.checked]
        if only:
            yield f"only the {where} report asks {', '.join(only)}"
    if to_dict(old.settings.get("rules", {})) != to_dict(new.settings.get("rules", {})):
        yield "the rules were asked with other limits or severities"


def _other_losses(old: Report, new: Report, pairs: _Pairs) -> Iterator[str]:
    taken = {id(profile) for pair in pairs for profile in pair}
    for report, where in ((old, "old"), (new, "new")):
        for profile in report.profiles:
            if id(profile) not in taken:
                yield f"only the {where} report has the loss {profile.objective.name}"


def _other_spines(pairs: _Pairs) -> Iterator[str]:
    """Say which ways of the gradient only one report has: a way that is cut is no drop that could have grown."""
    for old, new in pairs:
        for profile, other, where in ((old, new, "old"), (new, old, "new")):
            entries = {spine.entry for spine in profile.spines} - {spine.entry for spine in other.spines}
            if entries:
                yield f"only the {where} report has a spine to {', '.join(f'`{entry}`' for entry in sorted(entries))}"
