"""A suppression suppresses nothing.

What it measures
Each rule that a comment `# gradcheck: ignore[...]` or an entry of `per-layer-ignores` names is held against what was
found. One that accepts no finding is raised here, at the line where it is written; so is a comment that names no rule,
or one that does not exist. A suppression that another target of the same run needs is not raised.

Why it matters
What is mended no longer needs its excuse, and an excuse that stays behind hides the next fault at the same place. A
misspelt one excuses nothing, and a person believes that it does.

Limits and where they come from
There is no number to set: a suppression is needed or it is not.

When it is wrong
For a finding that comes and goes near its limit, or one that only shows with other data or another seed. A suppression
of a rule that was not asked (`--select`) is not judged, nor is a comment in a class or function that builds no layer of the
scanned model.

What to do
Remove it, or mend the rule's code in its brackets. A comment belongs to the line that builds the layer, which is what the
report shows under "where"; of a call over several lines it may also stand on the last.

References
Ruff's rule `unused-noqa` and mypy's `warn_unused_ignores` do the same for their suppressions.
"""

from __future__ import annotations

from gradcheck_cli.records import Finding, Rule, Severity, SourceSite

RULE = Rule(code="GC901", name="unused-suppression", summary="A suppression suppresses nothing.", severity="warning")


def finding(selector: str, site: SourceSite | None, why: str, severity: Severity, *, pattern: str = "") -> Finding:
    """Make the finding for one rule that a comment names, or a setting with its pattern; it is about no layer."""
    by = "setting" if pattern else "comment"
    return Finding(
        code=RULE.code,
        name=RULE.name,
        severity=severity,
        layer="",
        parameter=None,
        site=site,
        message=f"the {by} ignores `{selector}` for nothing: {why}" if selector else f"the {by} ignores nothing: {why}",
        facts={"selector": selector, "by": by, "pattern": pattern},
    )
