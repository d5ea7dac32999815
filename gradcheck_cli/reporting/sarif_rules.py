"""A rule as SARIF describes it: short, in full, and its whole page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradcheck_cli.reporting.base import RulePage
from gradcheck_cli.reporting.rule_page import as_markdown, limits_table, sections

LONGEST = 1024  # characters of a text that GitHub shows
_FAMILIES = {
    "1": "gradient-flow",
    "2": "activations",
    "3": "initialisation",
    "4": "graph",
    "5": "numerics",
    "6": "data-and-loss",
    "9": "gradcheck",
}
_PROBLEMS = {"error": "error", "warning": "warning", "note": "recommendation"}


def fitted(text: str, most: int = LONGEST) -> str:
    """Cut a text that is too long; the mark of the cut counts."""
    return text if len(text) <= most else text[: most - 1] + "…"


def descriptor(page: RulePage) -> Mapping[str, Any]:
    """Return a reportingDescriptor. No `helpUri`: the page travels along instead."""
    rule = page.rule
    family = _FAMILIES.get(rule.code[2:3], "gradcheck")
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": fitted(rule.summary or rule.name)},
        "fullDescription": {"text": fitted(_in_full(page))},
        "help": {"text": _help(page), "markdown": as_markdown(rule, page.page)},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {
            # Every rule is held against the healthy networks of benchmarks/verdicts.py, on which none may fire.
            "precision": "high",
            "problem.severity": _PROBLEMS[rule.severity],
            "tags": ["gradient-health", "pytorch", family],
        },
    }


def _in_full(page: RulePage) -> str:
    """Return the summary and what the rule measures, as one paragraph."""
    measured = [text for heading, texts in sections(page.page) if heading == "What it measures" for text in texts]
    return " ".join([page.rule.summary or page.rule.name, *measured])


def _help(page: RulePage) -> str:
    """Return the page without markup, the limits as lines."""
    rule = page.rule
    parts = [f"{rule.code} {rule.name} ({rule.severity})"]
    for heading, paragraphs in sections(page.page):
        parts += [heading] if heading else []
        parts += paragraphs
        if heading == "Limits and where they come from":
            parts += [f"{name}: {value} {unit} ({source})" for name, value, unit, source in limits_table(rule)]
    return "\n\n".join(parts)
