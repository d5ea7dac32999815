"""Is the finding gone from the patched source, and has nothing come up instead?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gradcheck_cli.records import Finding, Report


def complaint(before: Report, after: Report, cured: Sequence[Finding]) -> str:
    """Return why the patched source is no cure of these findings, "" when it is one.

    Layers may have other names after a patch, so findings of one code are counted too, not only compared by place.
    """
    was, now = _grave(before), _grave(after)
    places = {_place(f) for f in now}
    for finding in cured:
        if _place(finding) in places:
            return f"{finding.code} {finding.name} is still found in the patched source"
    counts, gone = Counter(f.code for f in was), Counter(f.code for f in cured)
    for code, number in Counter(f.code for f in now).items():
        if number > counts[code] - gone[code]:
            found = next(f for f in now if f.code == code)
            where = f" at `{found.layer}`" if found.layer else ""
            return f"the patched source shows {code} {found.name}{where}"
    return ""


def _grave(report: Report) -> list[Finding]:
    return [f for f in report.findings if f.grave]


def _place(finding: Finding) -> tuple[str, str, str]:
    return finding.code, finding.layer, finding.objective
