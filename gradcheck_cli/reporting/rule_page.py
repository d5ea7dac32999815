"""The page of a rule: the docstring of its file and its limits, as text, Markdown or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from gradcheck_cli.records import Rule, to_dict

HEADINGS = (
    "What it measures",
    "Why it matters",
    "Limits and where they come from",
    "When it is wrong",
    "What to do",
    "References",
)


def sections(page: str) -> list[tuple[str, list[str]]]:
    """Split a docstring into (heading, paragraphs); the first heading is empty and holds the opening sentence.

    Lines that belong to one paragraph are joined; a line that starts with a backtick or a dash begins a new one.
    """
    found: list[tuple[str, list[str]]] = [("", [])]
    fresh = True
    for line in page.splitlines():
        if line.strip() in HEADINGS:
            found.append((line.strip(), []))
            fresh = True
        elif not line.strip():
            fresh = True
        elif fresh or re.match(r"\s*[`-]", line) or line.startswith("  "):
            found[-1][1].append(line.strip())
            fresh = False
        else:
            found[-1][1][-1] += " " + line.strip()
    return found


def limits_table(rule: Rule) -> list[tuple[str, str, str, str]]:
    """Return name, value, unit and source of each limit."""
    return [(limit.name, f"{limit.value:g}", limit.unit, limit.source) for limit in rule.limits]


def as_json(rule: Rule, page: str) -> str:
    """Return the rule with its page, for other tools."""
    return json.dumps({**to_dict(rule), "page": page}, indent=2, allow_nan=False) + "\n"


def as_markdown(rule: Rule, page: str) -> str:
    """Return the page as it stands in the documentation."""
    (_, opening), *rest = sections(page)
    parts = [f"# {rule.code} {rule.name}", f"Severity: **{rule.severity}**", *opening]
    for heading, paragraphs in rest:
        parts += [f"## {heading}", *_unbroken(paragraphs)]
        if heading == HEADINGS[2] and rule.limits:
            rows = ["| limit | value | unit | source |", "| --- | --- | --- | --- |"]
            rows += [f"| `{' | '.join((f'{name}`', *more))} |" for name, *more in limits_table(rule)]
            parts.append("\n".join(rows))
            parts.append(f'Set them under `[tool.gradcheck.rules.{rule.code}]`, there also `severity = "..."`.')
    return "\n\n".join(parts) + "\n"


def _unbroken(paragraphs: Sequence[str]) -> list[str]:
    """Join neighbouring list items, so that Markdown sees one list."""
    joined: list[str] = []
    for paragraph in paragraphs:
        if joined and paragraph.startswith("- ") and joined[-1].startswith("- "):
            joined[-1] += "\n" + paragraph
        else:
            joined.append(paragraph)
    return joined
