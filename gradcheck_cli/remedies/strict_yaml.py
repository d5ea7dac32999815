"""Read YAML that cannot surprise: no alias, no merge key, no duplicate key, bounded size and depth, plain types only."""

from __future__ import annotations

from typing import Any

import yaml

from gradcheck_cli.errors import GradcheckError

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
_DO = "write the file out in full, flat and without anchors"
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster, and optional


class _StrictLoader(_Base):  # type: ignore[misc]
    """SafeLoader that refuses keys which repeat, merge or are no plain word; PyYAML lets the last one win silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                raise _refused("a key is no plain word", key)
            if key.value in seen:
                raise _refused(f"key {key.value!r} stands there twice", key)
            seen.add(key.value)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def load_strict(text: str, source: str) -> Any:
    """Return the document as lists, dictionaries and scalars. Raises GradcheckError E676."""
    if len(text.encode()) > MAX_BYTES:
        raise GradcheckError("E676", f"{source} cannot be read", f"it is larger than {MAX_BYTES} bytes", _DO)
    try:
        _check_events(text)
        return yaml.load(text, Loader=_StrictLoader)
    except (_Refused, yaml.YAMLError) as error:
        raise GradcheckError("E676", f"{source} cannot be read", " ".join(str(error).split()), _DO) from None


def _check_events(text: str) -> None:
    """Refuse aliases and deep nesting while nothing is built yet: a 480-byte alias bomb loads in 6 ms, then fills memory."""
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.AliasEvent):
            raise _refused("it uses an alias", event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _refused(f"it nests deeper than {MAX_DEPTH} levels", event)


class _Refused(Exception):
    """Raised while reading; becomes E676."""


def _refused(what: str, mark: yaml.Node | yaml.Event) -> _Refused:
    start = mark.start_mark
    return _Refused(f"{what} (line {start.line + 1})" if start else what)
