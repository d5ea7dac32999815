import importlib.util
import json
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
from canned_reports import healthy, one, sick
from canned_trials import treated

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.records import Scan
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.rule_page import HEADINGS, as_markdown, sections
from gradcheck_cli.rules import RuleFile, declared

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "schema" / "report-1.json").read_text("utf-8"))


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_are_what_the_code_says_now() -> None:
    made = _generator().pages()
    stale = [p.relative_to(DOCS).as_posix() for p, text in made.items() if not p.exists() or p.read_text("utf-8") != text]
    assert stale == [], "run `python docs/generate.py`"
    assert set((DOCS / "rules").glob("*.md")) == {p for p in made if p.suffix == ".md"}


def test_the_schema_is_a_schema_and_reports_obey_it() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for report in (sick(), healthy(), treated()):
        jsonschema.validate(json.loads(render(one(report), Look(format="json"))), SCHEMA)
    failed = Scan(target="x.py", error=GradcheckError("E101", "a", "b", "c").failure())
    jsonschema.validate(json.loads(render((failed,), Look(format="json"))), SCHEMA)
    jsonschema.validate(json.loads(render((failed, *one(sick())), Look(format="json"))), SCHEMA)


def test_documents_of_older_minor_versions_obey_the_schema_too() -> None:
    for file in (Path(__file__).parent / "stored").glob("report-1.*.json"):
        jsonschema.validate(json.loads(file.read_text("utf-8")), SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), "2.0"),
        (("findings", 0, "severity"), "fatal"),
        (("trials", 0, "outcome"), "fixed"),
        (("trials", 0, "training", "edited", "end", 0), "large"),
        (("profiles", 0, "objective", "value"), "NaN"),
        (("profiles", 0, "layers", 0, "order"), "first"),
    ],
)
def test_the_schema_refuses_what_no_report_says(path: tuple[str | int, ...], value: object) -> None:
    document = json.loads(render(one(treated()), Look(format="json")))
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


def test_fields_are_described_by_the_comments_beside_them() -> None:
    described = SCHEMA["$defs"]["UnitFacts"]["properties"]["best_gain"]["description"]
    assert described.startswith("largest derivative")


@pytest.mark.parametrize("file", declared(), ids=lambda file: file.rule.code)
def test_every_rule_page_has_all_headings_with_text(file: RuleFile) -> None:
    opening, *rest = sections(file.page)
    assert len(opening[1]) == 1
    assert [heading for heading, _ in rest] == list(HEADINGS)
    assert all(paragraphs for _, paragraphs in rest)
    markdown = as_markdown(file.rule, file.page)
    assert all(f"| `{limit.name}` | {limit.value:g} |" in markdown for limit in file.rule.limits)


def test_lines_of_a_paragraph_are_joined_and_items_stay_apart() -> None:
    page = "It breaks.\n\nWhat it measures\nOne\ntwo.\n`limit` 3: why.\n- a\n- b\n\nNext."
    assert sections(page) == [
        ("", ["It breaks."]),
        ("What it measures", ["One two.", "`limit` 3: why.", "- a", "- b", "Next."]),
    ]
