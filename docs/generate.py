"""Write the pages that follow from the code: `python docs/generate.py`. A test fails when they are stale.

docs/rules/*.md from the rule files, docs/schema/report-1.json from the records.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradcheck_cli import records
from gradcheck_cli.reporting.rule_page import as_markdown
from gradcheck_cli.rules import declared

DOCS = Path(__file__).parent
_FINITE_OR_WORD = {"anyOf": [{"type": "number"}, {"enum": ["nan", "inf", "-inf"]}]}
# Keys that a minor version has added: an older document of the same major version lacks them.
_ADDED = {
    ("Report", "trials"): "1.1",
    ("Prescription", "edits"): "1.1",
    ("Finding", "fingerprint"): "1.2",
    ("Report", "identity"): "1.2",
    ("Report", "checked"): "1.2",
    ("Report", "suppressed"): "1.2",
    ("Report", "baseline"): "1.2",
    ("Report", "close_calls"): "1.2",
    ("Report", "comparison"): "1.2",
}
_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: _FINITE_OR_WORD,
    Any: {},
}


def pages() -> dict[Path, str]:
    """Return every generated file with its text."""
    files = declared()
    made = {DOCS / "rules" / f"{file.rule.code}.md": as_markdown(file.rule, file.page) for file in files}
    rows = [
        f"| [{file.rule.code}]({file.rule.code}.md) | {file.rule.name} | {file.rule.severity} | {file.rule.summary} |"
        for file in files
    ]
    head = "# Rules\n\n| code | name | severity | what it says |\n| --- | --- | --- | --- |\n"
    made[DOCS / "rules" / "README.md"] = head + "\n".join(rows) + "\n"
    made[DOCS / "schema" / "report-1.json"] = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    return made


def schema() -> dict[str, Any]:
    """Describe a report, the absence of one, or what became of several targets, as JSON Schema.

    Unknown keys are allowed: a newer minor version adds some.
    """
    definitions: dict[str, Any] = {}
    _define(records.Report, definitions)
    report = definitions.pop("Report")
    report["properties"]["schema_version"] = _version()
    definitions["Report"] = report
    _define(records.Failure, definitions)
    text = {"type": "string"}
    definitions["Failure"]["properties"]["id"] = {**text, "pattern": "^E[0-9]{3}$"}
    head = {"schema_version": _version(), "tool_version": text}
    failed, reported = {"error": {"$ref": "#/$defs/Failure"}}, {"report": {"$ref": "#/$defs/Report"}}
    absence = {
        "description": "What stands in the report's place when gradcheck exits with 2.",
        "required": [*head, "error"],
        "properties": {**head, **failed},
    }
    one = {
        "type": "object",
        "required": ["target"],
        "properties": {"target": text, **failed, **reported},
        "oneOf": [{"required": ["error"]}, {"required": ["report"]}],
    }
    several = {
        "description": "What became of each of several targets (since 1.2).",
        "required": [*head, "scans"],
        "properties": {**head, "scans": {"type": "array", "items": one}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"gradcheck report, schema {records.SCHEMA_VERSION}",
        "type": "object",
        "oneOf": [{"$ref": "#/$defs/Report"}, absence, several],
        "$defs": dict(sorted(definitions.items())),
    }


def _version() -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{records.SCHEMA_VERSION.split('.')[0]}\\.[0-9]+$"}


def _define(record: type, definitions: dict[str, Any]) -> None:
    """Add the definition of a record and of those it holds; comments beside fields become descriptions."""
    if record.__name__ in definitions:
        return
    definitions[record.__name__] = {}
    hints, comments = typing.get_type_hints(record), _comments(record)
    properties = {}
    for each in dataclasses.fields(record):
        properties[each.name] = _schema_of(hints[each.name], definitions)
        described = [comments[each.name]] if each.name in comments else []
        if since := _ADDED.get((record.__name__, each.name)):
            described.append(f"since {since}")
        if described:
            properties[each.name] = {"description": "; ".join(described), **properties[each.name]}
    definitions[record.__name__] = {
        "type": "object",
        "description": " ".join(inspect.cleandoc(record.__doc__ or "").split()),
        "required": [name for name in properties if (record.__name__, name) not in _ADDED],
        "properties": properties,
    }


def _schema_of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        _define(typing.cast(type, hint), definitions)
        return {"$ref": f"#/$defs/{typing.cast(type, hint).__name__}"}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin in (types.UnionType, typing.Union):
        kinds = [_schema_of(a, definitions) for a in args if a is not type(None)]
        return {"anyOf": kinds + ([{"type": "null"}] if type(None) in args else [])}
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        values = _schema_of(args[1], definitions)
        return {"type": "object", **({"additionalProperties": values} if values else {})}
    if origin is tuple and args[-1] is Ellipsis:
        return {"type": "array", "items": _schema_of(args[0], definitions)}
    if origin is tuple:
        parts = [_schema_of(a, definitions) for a in args]
        return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}
    return _SCALARS[hint]


def _comments(record: type) -> dict[str, str]:
    """Return the comments that stand on the lines of a record's fields."""
    lines = inspect.getsource(record).splitlines()
    body = typing.cast(ast.ClassDef, ast.parse("\n".join(lines)).body[0]).body
    found = {}
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            comment = re.search(r"\s# (.*)$", lines[(node.end_lineno or node.lineno) - 1])
            if comment:
                found[node.target.id] = comment[1]
    return found


def main() -> None:
    made = pages()
    for stale in {*(DOCS / "rules").glob("*.md"), *(DOCS / "schema").glob("*.json")} - made.keys():
        stale.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    sys.stdout.write(f"{len(made)} files\n")


if __name__ == "__main__":
    main()
