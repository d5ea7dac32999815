"""What a shell offers when the Tab key is pressed. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gradcheck_cli.options import Field, choices

_SELECTORS = ("select", "ignore", "extend_select")
_DEVICES = ("cpu", "cuda", "cuda:0", "mps", "xpu")


def completion(field: Field) -> Callable[[str], list[str]] | None:
    """Return what completes an option's value, None for one that can be anything."""
    words = _DEVICES if field.name == "device" else choices(field)
    if words:
        return lambda incomplete: [word for word in words if word.startswith(incomplete)]
    return rules if field.name in _SELECTORS else None


def rules(incomplete: str) -> list[str]:
    """Complete the last of several codes or names, separated by commas."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{word}" for word in _selectors() if word.lower().startswith(last.lower())]


def _selectors() -> Iterator[str]:
    from gradcheck_cli.rules import declared

    for file in declared():
        yield file.rule.code
        yield file.rule.name
