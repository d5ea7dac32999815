"""Every setting with its value and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcheck_cli.options import fields
from gradcheck_cli.reporting.clean import clean

if TYPE_CHECKING:
    from gradcheck_cli.configuration import Configured


def settings_text(targets: Sequence[Configured]) -> str:
    """Write the settings of each target as a pyproject.toml would hold them, the origin behind each as a comment.

    How the results of all are gated and shown is what the first target's sources say, and stands there alone.
    """
    return "\n".join("\n".join(map(clean, _lines(target, whole=target is targets[0]))) + "\n" for target in targets)


def _lines(target: Configured, *, whole: bool) -> Iterator[str]:
    yield f"# {target.settings.target} (configuration: {target.file or 'none'})"
    yield "[tool.gradcheck]"
    holders = (target.settings, target.gate, target.display) if whole else (target.settings,)
    for name, field in fields().items():
        holder = next((h for h in holders if isinstance(h, field.record)), None)
        if holder is None:
            continue
        value, origin = getattr(holder, name), target.origins.get(name, "default")
        if value is None:
            yield f"# {field.key} is not set"
        else:
            yield f"{'# ' * field.option.flag_only}{field.key} = {_toml(value)}  # {origin}"
    ignores = {ignore.pattern: ignore.selectors for ignore in target.settings.per_layer_ignores}
    if ignores:
        yield f"per-layer-ignores = {_toml(ignores)}  # {target.file}"
    for rule, limits in target.settings.rules.items():
        yield f"rules.{rule} = {_toml(limits)}  # {target.file}"


def _toml(value: Any) -> str:
    """Write a value of the settings in TOML, whose plain values look like JSON's."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(v)}" for key, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
