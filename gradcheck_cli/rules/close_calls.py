"""Close calls: limits of which a small change would turn whether the scan fails."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gradcheck_cli.records import SEVERITIES, CloseCall, Finding, Limit, Profile
from gradcheck_cli.rules import RuleFile, load_rules
from gradcheck_cli.rules.judge import raised_by, root_causes
from gradcheck_cli.rules.selection import limits_of, selected, severity_of
from gradcheck_cli.settings import Settings


@dataclass(frozen=True, slots=True)
class Margins:
    """How far limits are moved, as shares of them; a limit of a ratio is multiplied by 1 - share and divided by it."""

    plain: float = 0.35
    ratio: float = 0.5  # where the rule measures a ratio, which seeds scatter by factors
    trained: float = 0.95  # of what a trained copy is held against: how far some 20 steps lead hangs on the seed most of all


# What other seeds do to networks that stand at a limit, measured by benchmarks/stability.py.
MARGINS = Margins()
_HALVINGS = 8  # of the way to the end of a margin: then the turning point is known to a few thousandths of the limit
_DIGITS = 3
Counted = Callable[[tuple[Finding, ...]], Sequence[Finding]]


def close_calls(
    profiles: Sequence[Profile], settings: Settings, counted: Counted = tuple, margins: Margins = MARGINS
) -> tuple[CloseCall, ...]:
    """Return for each rule the nearest limit within its margin that turns whether the scan fails; nearest first.

    Every limit is moved alone, the rule is asked again, and what it raises takes part in the search for root causes: a
    finding that another one explains either way decides nothing. `counted` keeps of the root causes what no comment,
    setting or baseline accepts. It is called once for the findings as they are, and again where a moved limit changes
    what its rule raises.
    """
    scan = _Scan(profiles, settings, counted)
    found = [call for file in scan.files if scan.may_turn(file) and (call := _nearest(scan, file, margins)) is not None]
    return tuple(sorted(found, key=_distance))


class _Scan:
    """What the rules raise with the limits that hold, and what of it fails when one rule gets other limits."""

    def __init__(self, profiles: Sequence[Profile], settings: Settings, counted: Counted) -> None:
        self.profiles, self.settings, self.counted = profiles, settings, counted
        self.files = selected(load_rules(), settings)
        self.raised = {file.rule.code: self._ask(file, profiles, self.limits(file)) for file in self.files}
        self.failing = self._failing(self.raised)
        self.fails = bool(self.failing)

    def limits(self, file: RuleFile) -> dict[str, float]:
        return limits_of(file.rule, self.settings)

    def may_turn(self, file: RuleFile) -> bool:
        """Say whether the rule alone can turn the verdict: all that fails is raised or can be hidden by it."""
        within = {file.rule.code, *file.rule.hides}
        return bool(file.rule.limits) and all(finding.code in within for finding in self.failing)

    def with_limit(self, file: RuleFile, name: str, value: float) -> list[Finding]:
        """Return what fails the scan if one limit of one rule has another value, in all looks."""
        return self._instead(file, self._ask(file, self.profiles, {**self.limits(file), name: value}))

    def with_limit_for_the_copy(self, file: RuleFile, name: str, value: float) -> list[Finding] | None:
        """Return what fails the scan if one limit is another one in the second look; None where this is not the copy's doing.

        Without the trained copy, the verdict has to be the same with either limit.
        """
        limits, moved = self.limits(file), {**self.limits(file), name: value}
        failing = self._instead(file, self._ask(file, self.profiles, limits, moved))
        if bool(failing) == self.fails:
            return failing
        bare = [_without_copy(profile) for profile in self.profiles]
        now, then = (bool(self._instead(file, self._ask(file, bare, limits, again))) for again in (limits, moved))
        return failing if now == then else None

    def asks_a_copy(self, file: RuleFile) -> bool:
        """Say whether a trained copy has had a say in what the rule raises."""
        looks = [profile.confirmation for profile in self.profiles]
        if file.confirm != "training" or not any(look is not None and look.trained for look in looks):
            return False
        return bool(self._ask(file, [dataclasses.replace(p, confirmation=None) for p in self.profiles], self.limits(file)))

    def is_open(self, finding: Finding) -> bool:
        """Say whether a second look could still excuse what the limits as they are do not raise."""
        confirm = next((file.confirm for file in self.files if file.rule.code == finding.code), "none")
        return confirm != "none" and any(profile.confirmation is None for profile in self.profiles)

    def _ask(
        self,
        file: RuleFile,
        profiles: Sequence[Profile],
        limits: Mapping[str, float],
        again: Mapping[str, float] | None = None,
    ) -> list[Finding]:
        return list(raised_by(file, profiles, limits, severity_of(file.rule, self.settings), again))

    def _instead(self, file: RuleFile, raised: list[Finding]) -> list[Finding]:
        if raised == self.raised[file.rule.code]:
            return self.failing
        return self._failing({**self.raised, file.rule.code: raised})

    def _failing(self, raised: Mapping[str, list[Finding]]) -> list[Finding]:
        bar = SEVERITIES.index(self.settings.fail_on)
        kept = root_causes([finding for findings in raised.values() for finding in findings])
        return [finding for finding in self.counted(tuple(kept)) if SEVERITIES.index(finding.severity) <= bar]


def _without_copy(profile: Profile) -> Profile:
    looks = profile.confirmation
    return profile if looks is None else dataclasses.replace(profile, confirmation=dataclasses.replace(looks, trained=()))


@dataclass(frozen=True, slots=True)
class _Way:
    """From a limit to the end of its margin, and what fails the scan with a limit on it."""

    limit: Limit
    value: float
    end: float
    failing: Callable[[float], list[Finding] | None]
    of_the_copy: bool


def _nearest(scan: _Scan, file: RuleFile, margins: Margins) -> CloseCall | None:
    """Ask what hangs on the copy alone only where nothing else is near."""
    for ways in (_ways(scan, file, margins), _ways_of_the_copy(scan, file, margins)):
        calls = [call for way in ways if (call := _call(scan, file, way)) is not None]
        if calls:
            return min(calls, key=_distance)
    return None


def _ways(scan: _Scan, file: RuleFile, margins: Margins) -> Iterator[_Way]:
    """Both ways of each limit, for all looks."""
    share = margins.ratio if file.effect.log else margins.plain
    for limit, value in _limits(scan, file):
        for end in _ends(limit, value, share, file.effect.log):
            yield _Way(limit, value, end, functools.partial(scan.with_limit, file, limit.name), of_the_copy=False)


def _ways_of_the_copy(scan: _Scan, file: RuleFile, margins: Margins) -> Iterator[_Way]:
    """Both ways of each limit, for what is asked of a trained copy."""
    for limit, value in _limits(scan, file) if scan.asks_a_copy(file) else ():
        for end in _ends(limit, value, margins.trained, file.effect.log):
            yield _Way(limit, value, end, functools.partial(scan.with_limit_for_the_copy, file, limit.name), of_the_copy=True)


def _limits(scan: _Scan, file: RuleFile) -> list[tuple[Limit, float]]:
    values = scan.limits(file)
    return [(limit, values[limit.name]) for limit in file.rule.limits]


def _ends(limit: Limit, value: float, share: float, ratio: bool) -> Iterator[float]:
    yield value * (1.0 - share)
    above = value / (1.0 - share) if ratio else value * (1.0 + share)
    yield min(above, 1.0) if limit.unit.startswith("share ") else above


def _call(scan: _Scan, file: RuleFile, way: _Way) -> CloseCall | None:
    turn = _turning_point(scan, way)
    if turn is None:
        return None
    turns_at, failing = turn
    failing = scan.failing or failing
    decisive = next((finding for finding in failing if finding.code == file.rule.code), failing[0])
    return CloseCall(
        code=file.rule.code,
        name=file.rule.name,
        layer=decisive.layer,
        limit=way.limit.name,
        value=way.value,
        turns_at=turns_at,
        unit=way.limit.unit,
        verdict="fails" if scan.fails else "passes",
        other=decisive.code if decisive.code != file.rule.code else "",
        of_the_copy=way.of_the_copy,
        looked_again=scan.fails or not scan.is_open(decisive),
    )


def _turning_point(scan: _Scan, way: _Way) -> tuple[float, list[Finding]] | None:
    """Return a limit from which on the verdict is the other one, and what fails there; None where the end's is the same.

    Where the verdict turns more than once on the way, one of these points is found, not always the nearest.
    """
    turn = _far_turn(scan, way)
    if turn is None:
        return None
    near = way.value
    for _ in range(_HALVINGS):
        middle = (near + turn[0]) / 2
        if (nearer := _at(scan, way, middle)) is not None:
            turn = nearer
        else:
            near = middle
    return _at(scan, way, _outward(turn[0], way.value)) or turn


def _far_turn(scan: _Scan, way: _Way) -> tuple[float, list[Finding]] | None:
    """Look at the end; where that turns what is not the copy's doing either, look between it and the limit."""
    if way.end == way.value:
        return None
    near, far, failing = way.value, way.end, way.failing(way.end)
    if failing is not None:
        return None if bool(failing) == scan.fails else (far, failing)
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        failing = way.failing(middle)
        if failing is None:
            far = middle
        elif bool(failing) == scan.fails:
            near = middle
        else:
            return middle, failing
    return None


def _at(scan: _Scan, way: _Way, value: float) -> tuple[float, list[Finding]] | None:
    failing = way.failing(value)
    return None if failing is None or bool(failing) == scan.fails else (value, failing)


def _outward(far: float, value: float) -> float:
    """Round to a few digits, away from the limit: what is said of the number must hold for the number as it is shown."""
    unit = 10.0 ** (math.floor(math.log10(abs(far))) + 1 - _DIGITS)
    rounded = (math.ceil if far > value else math.floor)(far / unit) * unit
    return float(f"{rounded:.{_DIGITS}g}")


def _distance(call: CloseCall) -> float:
    """As a share of the limit, and upward of its new value: 2 and 8 are as far from 4."""
    low, high = sorted((call.turns_at, call.value))
    return 1.0 - low / high
