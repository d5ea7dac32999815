"""What is found and does not count, what the baseline holds in vain, and how near the verdict is to another: in words."""

from __future__ import annotations

from gradcheck_cli.records import CloseCall, Report, Suppressed
from gradcheck_cli.reporting.numbers import short


def accepted(one: Suppressed) -> str:
    """Name a finding that does not count, and what accepts it."""
    finding = one.finding
    place = f" {one.site.file}:{one.site.line}" if one.site else ""
    reason = f": {one.reason}" if one.reason else ""
    return f"{finding.code} {finding.name} at `{finding.layer or '(model)'}` ({finding.severity}), by {_by(one)}{place}{reason}"


def _by(one: Suppressed) -> str:
    return {"comment": "the comment at", "setting": "the setting at" if one.site else "a setting"}.get(one.by, "the baseline")


def baseline_lines(report: Report) -> list[str]:
    """Say what the baseline knows, what is in it in vain, and under what other conditions it was written."""
    check = report.baseline
    if check is None:
        return []
    told = f"{check.file}: {check.known} known, {check.worse} worse than it says, {len(check.stale)} stale"
    stale = [f"stale: {e.code} {e.name} at `{e.layer or '(model)'}` is no longer found" for e in check.stale]
    advice = ["`gradcheck baseline prune` takes stale entries out"] if stale else []
    return [told, *stale, *advice, *check.remarks]


def close_call(call: CloseCall) -> str:
    """Say with which limit, not far from the one that holds, the scan would fail instead of pass, or pass instead of fail."""
    limit = f"`{call.limit}` = {short(call.value)} {call.unit}".rstrip()
    now, then = ("fails", "pass") if call.verdict == "fails" else ("passes", "fail")
    by = f" by {call.other}" if call.other else ""
    whose = " for the trained copy" if call.of_the_copy else ""
    untaken = "; a second look, which was not taken, might excuse it" if not call.looked_again else ""
    return (
        f"{call.code} {call.name} at `{call.layer or '(model)'}`: the scan {now}{by} with {limit}{whose},"
        f" and would {then} with {short(call.turns_at)}{untaken}"
    )
