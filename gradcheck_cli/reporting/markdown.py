"""Markdown for a comment on a pull request, or for the summary page of a build: the verdict, the findings, what helps."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from gradcheck_cli.records import Failure, Report, Scan
from gradcheck_cli.reporting import comparison_markdown, measured
from gradcheck_cli.reporting.accepted import baseline_lines, close_call
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.markdown_text import code, prose
from gradcheck_cli.reporting.numbers import plural
from gradcheck_cli.reporting.results import Result, failure_site, lines_for, results, why
from gradcheck_cli.reporting.summary import cures, found, verdict

LONGEST = 65_000  # characters; GitHub refuses a comment with more than 65,536, and a summary with more than 1 MiB
_ROWS = 50  # findings of a target in its table
_LISTED = 20  # lines of one kind below it
_BY = {"comment": "a comment", "setting": "a setting", "baseline": "the baseline"}
_NO_VERDICT = "no verdict"
_CUT = "The rest is left out: it would be too long for a comment."


def render(scans: Sequence[Scan], look: Look) -> str:
    """Render all targets, with the accepted findings only as a number. Nothing of a model can mark up, link or mention."""
    lines = [f"## gradcheck: {_heading(scans)}"]
    for scan in scans:
        lines += ["", *_section(scan, look)]
    return lines_for(look, _cut(lines))


def _cut(lines: Sequence[str]) -> list[str]:
    """Leave out whole lines at the end where the text is too long."""
    room = LONGEST - len(_CUT) - 3
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return [*kept, "", _CUT]
        kept.append(line)
    return kept


def _heading(scans: Sequence[Scan]) -> str:
    verdicts = [verdict(scan.report) if scan.report else _NO_VERDICT for scan in scans]
    if len(verdicts) == 1:
        return verdicts[0]
    counts = Counter(verdicts)
    words = {
        "sick": "sick",
        "doubtful": "doubtful",
        "accepted": "accepted",
        "healthy": "healthy",
        _NO_VERDICT: "without a verdict",
    }
    return ", ".join(f"{counts[told]} {word}" for told, word in words.items() if counts[told])


def _section(scan: Scan, look: Look) -> Iterator[str]:
    target = f"### {code(scan.target)}: " if scan.target else "### "
    if scan.error is not None:
        yield target + _NO_VERDICT
        yield ""
        yield _failed(scan, scan.error, look)
    elif scan.report is not None:
        yield target + verdict(scan.report)
        yield ""
        yield prose("; ".join(filter(None, (found(scan.report), cures(scan.report)))))
        counted = [result for result in results(scan) if result.suppressed is None]
        yield from _table(counted, look)
        yield from _part(_helps(counted, look))
        yield from _part(_footing(scan.report))
        if scan.report.comparison is not None:
            yield ""
            yield from comparison_markdown.markdown(scan.report.comparison, look.layers, below=True).rstrip("\n").split("\n")


def _failed(scan: Scan, failure: Failure, look: Look) -> str:
    site = failure_site(scan)
    known = site is not None and site.exact
    place = f" at {code(f'{look.from_root(site.file)}:{site.line}')}" if site and known else ""
    return f"**{prose(failure.id)}**{place} {prose(why(failure))}"


def _part(lines: Sequence[str]) -> list[str]:
    return ["", *lines] if lines else []


def _table(found: Sequence[Result], look: Look) -> Iterator[str]:
    if not found:
        return
    yield ""
    yield "| severity | rule | layer | where | finding |"
    yield "| --- | --- | --- | --- | --- |"
    for result in found[:_ROWS]:
        finding = result.finding
        file = look.from_root(result.site.file)
        # Where no line is known, the file alone is named: line 1 would be taken for the place.
        where = f"{file}:{result.site.line}" if result.placed else file
        rule = prose(f"{finding.code} {finding.name}")
        yield f"| {finding.severity} | {rule} | {code(result.layer)} | {code(where)} | {prose(result.short)} |"
    if len(found) > _ROWS:
        yield ""
        yield f"{len(found) - _ROWS} more findings are not listed: `--format concise` lists them all."


def _helps(found: Sequence[Result], look: Look) -> list[str]:
    """Say for each error and warning what cured it when it was tried, else what improved it."""
    tried = [result for result in found[:_ROWS] if result.finding.grave and result.report.trials]
    lines = [line for result in tried if (line := _help(result))]
    if look.hints and any(result.cured for result in tried):
        lines.append(f"- {code(f'gradcheck fix {shlex.quote(tried[0].target)}')} turns a cure into a patch")
    return ["**Tried on a copy**", "", *lines] if lines else []


def _help(result: Result) -> str:
    trials = result.report.trials_for(result.finding)
    best = result.cured or next((trial for trial in trials if trial.outcome == "improved"), None)
    subject = f"- {prose(result.finding.code)} at {code(result.layer)}: "
    if best is None:
        return f"{subject}none of {plural(len(trials), 'trial')} helps" if trials else ""
    numbers = []
    if best.effect and best in trials:  # of a cure that was made for another finding, the numbers are that one's
        limit = measured.limit(best.effect)
        numbers.append(f"{best.effect.label} {measured.effect(best.effect)}" + (f" (limit {limit})" if limit else ""))
    if best.training:
        numbers.append(f"loss after {best.training.steps} steps {measured.loss(best.training)}")
    verb = "cures it" if best.outcome == "cured" else "helps most and is no cure"
    return f"{subject}**{prose(best.title)}** {verb}" + (f": {prose('; '.join(numbers))}" if numbers else "")


def _footing(report: Report) -> list[str]:
    """List what was accepted, assumed and not measured, and how near the verdict is to another."""
    counts = Counter(one.by for one in report.suppressed)
    accepted = ", ".join(f"{count} by {_BY[by]}" for by, count in sorted(counts.items()))
    parts = (
        ("Close call", [close_call(call) for call in report.close_calls]),
        ("Accepted", [f"{plural(len(report.suppressed), 'finding')} ({accepted})"] if accepted else []),
        ("Baseline", baseline_lines(report)),
        ("Assumed", list(dict.fromkeys(a for profile in report.profiles for a in profile.assumptions))),
        ("Not measured", list(dict.fromkeys(g for profile in report.profiles for g in profile.gaps))),
    )
    lines = []
    for label, said in parts:
        lines += [f"- **{label}:** {prose(line)}" for line in said[:_LISTED]]
        if len(said) > _LISTED:
            lines.append(f"- **{label}:** and {len(said) - _LISTED} more")
    return ["**What the verdict rests on**", "", *lines] if lines else []
