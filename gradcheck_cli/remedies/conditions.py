"""The `when` of the catalogue: plain comparisons of facts, nothing that is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPERATORS = ("at-least", "at-most", "not")
_Scalar = str | int | float | bool


def holds(when: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Say whether every condition holds. A fact that is not known fulfils no condition."""
    return all(name in facts and _fits(wanted, facts[name]) for name, wanted in when.items())


def check_condition(wanted: Any) -> str | None:
    """Return what is wrong with a condition, None when it is well formed.

    A scalar asks for equality, a list for membership, a mapping for bounds (`at-least`, `at-most`) or exclusion (`not`).
    """
    if isinstance(wanted, list):
        return None if wanted and all(isinstance(w, _Scalar) for w in wanted) else "a list of plain values is wanted"
    if isinstance(wanted, dict):
        for operator, bound in wanted.items():
            if operator not in OPERATORS:
                return f"unknown operator {operator!r}"
            if operator != "not" and (isinstance(bound, bool) or not isinstance(bound, (int, float))):
                return f"{operator} wants a number, got {bound!r}"
        return None if wanted else "an empty condition"
    return None if isinstance(wanted, _Scalar) else f"{wanted!r} is no condition"


def _fits(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, dict):
        return all(_compare(operator, bound, value) for operator, bound in wanted.items())
    if isinstance(wanted, list):
        return value in wanted
    return bool(value == wanted)


def _compare(operator: str, bound: Any, value: Any) -> bool:
    if operator == "not":
        return value not in bound if isinstance(bound, list) else bool(value != bound)
    if not isinstance(value, (int, float)):
        return False
    return bool(value >= bound if operator == "at-least" else value <= bound)
