"""Which rules run, and with which limits and severity: `--select`, `--ignore` and `[tool.gradcheck.rules.*]`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.records import SEVERITIES, Rule, Severity
from gradcheck_cli.rules import Declared, RuleFile
from gradcheck_cli.settings import Settings

_File = TypeVar("_File", bound=Declared)


def selected(files: Sequence[_File], settings: Settings) -> tuple[_File, ...]:
    """Keep the rules that `select` and `extend_select` name more closely than `ignore` does; a tie ignores.

    A selector is ALL, a code (GC101), the beginning of a code (GC1), or a rule's name (vanishing-gradient).
    """
    wanted = (*settings.select, *settings.extend_select)
    return tuple(f for f in files if _closeness(f.rule, wanted) > _closeness(f.rule, settings.ignore))


def names(code: str, name: str, selector: str) -> bool:
    """Say whether a selector names a rule: ALL, its code or the beginning of it, or its name."""
    return _nearness(code, name, selector) >= 0


def limits_of(rule: Rule, settings: Settings) -> dict[str, float]:
    """Return the rule's limits by name, overridden by the settings."""
    given = _options(rule, settings)
    return {limit.name: float(given.get(limit.name, limit.value)) for limit in rule.limits}


def severity_of(rule: Rule, settings: Settings) -> Severity | None:
    """Return the severity that the settings force on every finding of the rule, None when they do not."""
    given = _options(rule, settings).get("severity")
    return cast(Severity, given) if given in SEVERITIES else None


def check_selectors(files: Sequence[Declared], settings: Settings) -> None:
    """Raise E678 for a selector or a rule table that names no rule, E674/E675 for an unknown limit or a bad value."""
    rules = [f.rule for f in files]
    for selector in (*settings.select, *settings.extend_select, *settings.ignore):
        _check_selector(selector, rules, None)
    for ignore in settings.per_layer_ignores:
        for selector in ignore.selectors:
            _check_selector(selector, rules, f"{ignore.file}:{ignore.line}" if ignore.file else None)
    for name, options in settings.rules.items():
        rule = next((r for r in rules if name.upper() == r.code or name.lower() == r.name), None)
        if rule is None:
            raise GradcheckError(
                "E678",
                f"no rule is called {name!r}",
                "a table under [tool.gradcheck.rules] names one rule",
                suggestion(name, rules),
            )
        for key, value in options.items():
            _check_option(rule, key, value)


def check_any_left(files: Sequence[Declared], settings: Settings) -> None:
    """Raise E681 where no rule is left that could find anything: a gate that checks nothing must not be green."""
    if not any(isinstance(file, RuleFile) for file in selected(files, settings)):
        raise GradcheckError(
            "E681",
            "no rule is left that could find anything",
            "`select` names none, or `ignore` takes all of them out",
            "name at least one rule: --select ALL",
        )


def _check_selector(selector: str, rules: Sequence[Rule], where: str | None) -> None:
    if not any(names(rule.code, rule.name, selector) for rule in rules):
        raise GradcheckError(
            "E678",
            f"no rule is called {selector!r}",
            "it is no code, no beginning of a code and no rule's name",
            suggestion(selector, rules),
            where=where,
        )


def suggestion(word: str, rules: Sequence[Rule]) -> str:
    """Say which rule was probably meant, else where all of them are listed."""
    known = ["ALL", *(r.code for r in rules), *(r.name for r in rules)]
    return _suggest(word, known, "run `gradcheck rules` for the list")


def _check_option(rule: Rule, key: str, value: Any) -> None:
    names = [limit.name for limit in rule.limits]
    if key == "severity":
        if value not in SEVERITIES:
            raise GradcheckError(
                "E675",
                f"{rule.code} severity is {value!r}",
                "a severity is one of three words",
                f"use one of {', '.join(SEVERITIES)}",
            )
    elif key not in names:
        raise GradcheckError(
            "E674",
            f"{rule.code} has no limit {key!r}",
            f"it has: {', '.join([*names, 'severity'])}",
            _suggest(key, names, "use one of these"),
        )
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise GradcheckError("E675", f"{rule.code} {key} is {value!r}", "a limit is a number", "write a plain number")


def _options(rule: Rule, settings: Settings) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name, options in settings.rules.items():
        if name.upper() == rule.code or name.lower() == rule.name:
            merged.update(options)
    return merged


def _closeness(rule: Rule, selectors: Iterable[str]) -> int:
    """Return how closely the selectors name the rule: -1 not at all, 0 by ALL, else how much of the code they fix."""
    return max((_nearness(rule.code, rule.name, selector) for selector in selectors), default=-1)


def _nearness(code: str, name: str, selector: str) -> int:
    if selector.upper() == "ALL":
        return 0
    if selector.lower() == name:
        return len(code)
    return len(selector) if selector and code.startswith(selector.upper()) else -1


def _suggest(word: str, known: Sequence[str], otherwise: str) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else otherwise
