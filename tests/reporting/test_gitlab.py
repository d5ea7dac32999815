import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest
from canned_scans import HOSTILE, clean_scan, hostile, large, look, scans, sick_report
from hypothesis import given
from hypothesis import strategies as st
from test_text_report import check_golden

from gradcheck_cli.records import Scan
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.clean import clean

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "gitlab-code-quality.json").read_text("utf-8"))


def entries(shown: str) -> list[dict]:
    document = json.loads(shown)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def test_golden() -> None:
    check_golden("scans_gitlab.json", render(scans(), look("gitlab")))


def test_grades_codes_and_places() -> None:
    found = entries(render(scans(), look("gitlab")))
    assert [(e["severity"], e["check_name"], e["location"]["path"], e["location"]["lines"]["begin"]) for e in found] == [
        ("critical", "GC101", "models/examples/deep.py", 15),
        ("major", "GC202", "models/examples/deep.py", 15),
        ("info", "GC602", "models/examples/deep.py", 1),
        ("blocker", "E104", "models/examples/broken.py", 3),
        ("blocker", "E104", "models/package/module.py", 1),
    ]
    assert all(e["description"].startswith(e["check_name"]) for e in found)
    assert found[0]["description"].endswith("(limit 3). Tried on a copy: ReLU in place of Sigmoid cures it.")
    assert found[2]["description"].endswith("(no line is known: line 1 stands in)")


def test_the_fingerprint_is_that_of_the_finding_and_no_two_are_alike() -> None:
    report = sick_report()
    doubled = dataclasses.replace(report, findings=report.findings[:1] * 3)
    scan = Scan(target="examples/deep.py", report=doubled)
    prints = [e["fingerprint"] for e in entries(render((scan, scan), look("gitlab")))]
    assert prints[0] == report.findings[0].fingerprint
    assert len(set(prints)) == 6
    assert all(set(each) <= set("0123456789abcdef") for each in prints)
    assert prints == [e["fingerprint"] for e in entries(render((scan, scan), look("gitlab")))]


def test_the_fingerprint_knows_neither_numbers_nor_lines() -> None:
    before = entries(render(scans(), look("gitlab")))
    report = sick_report()
    moved = tuple(
        dataclasses.replace(f, message="other", site=f.site and dataclasses.replace(f.site, line=99)) for f in report.findings
    )
    after = entries(
        render((Scan(target="examples/deep.py", report=dataclasses.replace(report, findings=moved)),), look("gitlab"))
    )
    assert [e["fingerprint"] for e in after] == [e["fingerprint"] for e in before[:3]]
    assert [e["description"] for e in after] != [e["description"] for e in before[:3]]


def test_nothing_found_is_an_empty_array() -> None:
    assert render(clean_scan(), look("gitlab")) == "[]\n"


def test_a_failure_without_a_target_is_an_entry_too() -> None:
    (entry,) = entries(render((dataclasses.replace(scans()[3], target=""),), look("gitlab")))
    assert (entry["severity"], entry["location"]) == ("blocker", {"path": "models", "lines": {"begin": 1}})


def test_many_findings() -> None:
    found = entries(render(large(200), look("gitlab")))
    assert len({e["fingerprint"] for e in found}) == len(found) == 200


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_are_text(word: str) -> None:
    found = entries(render(hostile(word), look("gitlab")))
    assert len(found) == 5
    assert all(e["description"].isprintable() for e in found)
    assert clean(word) in found[0]["description"]


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_is_valid(target: str, word: str) -> None:
    finding = dataclasses.replace(sick_report().findings[0], layer=word, message=word, fingerprint="", site=None)
    report = dataclasses.replace(sick_report(), findings=(finding,), suppressed=(), trials=())
    (entry,) = entries(render((Scan(target=target, report=report),), look("gitlab")))
    assert clean(word) in entry["description"]
    assert entry["location"]["path"].isprintable()
