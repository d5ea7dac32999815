"""What formats that list findings have in common: each finding's place and words, what it is known by, and what cured it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradcheck_cli.records import Failure, Finding, Report, Scan, SourceSite, Suppressed, Trial
from gradcheck_cli.reporting.base import Look, location
from gradcheck_cli.targets import file_of, is_file, split

MODEL = "(model)"  # stands for the layer where a finding is about the whole model


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One finding of one target. `placed`: its line is known; else `site` is line 1 of the target's file.

    `alone`: no other finding that counts is of the same rule.
    """

    target: str
    report: Report
    finding: Finding
    suppressed: Suppressed | None
    site: SourceSite
    placed: bool
    alone: bool

    @property
    def layer(self) -> str:
        """The layer as it is named to people."""
        return self.finding.layer or MODEL

    @property
    def short(self) -> str:
        """The message for a line that names the layer already."""
        return self.finding.message.removeprefix(f"`{self.finding.layer}`: ")

    @property
    def message(self) -> str:
        """The message for a place that does not name the layer otherwise."""
        layer, message = self.finding.layer, self.finding.message
        return message if not layer or f"`{layer}`" in message else f"`{layer}`: {message}"

    @property
    def remark(self) -> str:
        """What to say behind the message of the place; empty where the line is known."""
        return "" if self.placed else " (no line is known: line 1 stands in)"

    @property
    def cured(self) -> Trial | None:
        """The best trial that cured it, be it one that was made for another finding of the report."""
        if self.suppressed or not self.report.trials:
            return None
        own = [trial for trial in self.report.trials_for(self.finding) if trial.outcome == "cured"]
        known = f"{self.finding.code} {self.finding.name}"
        others = (t for t in self.report.trials if self.alone and t.outcome == "cured" and known in t.also_cures)
        return own[0] if own else next(others, None)

    @property
    def cure(self) -> str:
        """What cured it when it was tried, as a sentence; empty where nothing did."""
        trial = self.cured
        return f"Tried on a copy: {trial.title} cures it." if trial else ""


def results(scan: Scan) -> list[Result]:
    """Return the findings of a target, gravest first as in the report, then those that do not count."""
    if scan.report is None:
        return []
    of_rule = Counter(finding.code for finding in scan.report.findings)
    pairs = [*((f, None) for f in scan.report.findings), *((one.finding, one) for one in scan.report.suppressed)]
    return [_result(scan, scan.report, *pair, alone=of_rule[pair[0].code] == 1) for pair in pairs]


def _result(scan: Scan, report: Report, finding: Finding, suppressed: Suppressed | None, *, alone: bool) -> Result:
    site = location(scan, finding)
    return Result(
        target=scan.target,
        report=report,
        finding=finding,
        suppressed=suppressed,
        site=site,
        placed=site.exact or report.site_of(finding) is not None,
        alone=alone,
    )


def why(failure: Failure) -> str:
    """Say in one line why there is no verdict and what to do."""
    return f"{failure.what}: {failure.why}; {failure.do}"


def failure_site(scan: Scan) -> SourceSite | None:
    """Return the line where a target failed, else line 1 of the file; None where not even a target is known."""
    where = scan.error.where if scan.error else None
    if where:
        file, _, line = where.rpartition(":")
        known = bool(file) and line.isdecimal()
        return SourceSite(file=file if known else where, line=max(int(line), 1) if known else 1, exact=known)
    return SourceSite(file=file_of(scan.target), line=1, exact=False) if scan.target else None


def name_of(target: str, look: Look) -> str:
    """Return the target as it is the same from every folder of the project."""
    place, name = split(target)
    if is_file(place):
        place = look.from_root(place)
    return f"{place}:{name}" if name else place


def known_by(result: Result, look: Look) -> str:
    """Return the finding's fingerprint; one of the same parts where it has none, as in a report of an older version."""
    finding = result.finding
    return finding.fingerprint or digest(name_of(result.target, look), finding.code, finding.layer, finding.parameter or "")


def digest(*parts: str) -> str:
    """Return 32 hex digits that stand for some words."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def told_apart(names: Iterable[str]) -> list[str]:
    """Return the names with a number behind each that was there before."""
    taken: dict[str, None] = {}
    met: Counter[str] = Counter()
    for name in names:
        single = name
        while single in taken:
            met[name] += 1
            single = f"{name} ({met[name] + 1})"
        taken[single] = None
    return list(taken)


def lines_for(look: Look, lines: Sequence[str]) -> str:
    """Join lines, each with its end; where the screen has no Unicode, in ASCII."""
    text = "".join(f"{line}\n" for line in lines)
    return text if look.unicode else text.encode("ascii", "backslashreplace").decode("ascii")
