import dataclasses
import json

import pytest
from canned_scans import HOSTILE, clean_scan, hostile, look, scans, sick_report
from hypothesis import given
from hypothesis import strategies as st
from test_text_report import check_golden

from gradcheck_cli import __version__
from gradcheck_cli.records import SCHEMA_VERSION, Scan, to_dict
from gradcheck_cli.reporting import render


def objects(shown: str) -> list[dict]:
    return [json.loads(line) for line in shown.splitlines()]


def test_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradcheck_cli.reporting.jsonl.__version__", "0.1.0")
    monkeypatch.setattr("gradcheck_cli.reporting.jsonl.SCHEMA_VERSION", "1.2")
    given = dataclasses.replace(sick_report(), schema_version="1.2")
    check_golden("scans.jsonl", render((dataclasses.replace(scans()[0], report=given), *scans()[1:]), look("jsonl")))


def test_each_line_says_all_by_itself() -> None:
    found = [each for each in objects(render(scans(), look("jsonl"))) if "code" in each]
    keys = set(found[0])
    assert all(set(each) == keys for each in found)
    assert {"schema_version", "tool_version", "target", "code", "severity", "layer", "file", "line", "exact"} <= keys
    assert [each["status"] for each in found] == ["new"] * 3 + ["suppressed"] * 3
    assert [(each["by"], each["reason"]) for each in found[2:]] == [
        (None, None),
        ("comment", "on purpose"),
        ("setting", ""),
        ("baseline", "known since May"),
    ]


def test_it_has_what_the_finding_has() -> None:
    finding = sick_report().findings[0]
    first = objects(render(scans(), look("jsonl")))[0]
    same = ("code", "name", "severity", "layer", "parameter", "message", "confirmed", "objective", "fingerprint", "facts")
    assert {key: first[key] for key in same} == {key: to_dict(finding)[key] for key in same}
    assert first["affected"] == list(finding.affected)
    assert first["facts"]["slowest"] == "inf"
    place = ("file", "line", "exact", "line_known")
    assert [first[key] for key in place] == ["examples/deep.py", 15, True, True]


def test_it_says_where_line_1_only_stands_in() -> None:
    note = objects(render(scans(), look("jsonl")))[2]
    assert (note["line"], note["exact"], note["line_known"]) == (1, False, False)


def test_a_target_without_a_verdict_is_a_line_too() -> None:
    last = objects(render(scans(), look("jsonl")))[-1]
    assert last == {
        "schema_version": SCHEMA_VERSION,
        "tool_version": __version__,
        "target": "package.module:Net",
        "error": {
            "id": "E104",
            "what": "package.module:Net cannot be read",
            "why": "it is no Python",
            "do": "mend it",
            "where": None,
        },
    }


def test_nothing_found_is_no_line() -> None:
    assert render(clean_scan(), look("jsonl")) == ""


@pytest.mark.parametrize("word", HOSTILE)
def test_words_come_back_as_they_were(word: str) -> None:
    shown = render(hostile(word), look("jsonl"))
    assert shown.isascii()
    assert shown.replace("\n", "").isprintable()
    lines = objects(shown)
    assert len(lines) == 8
    assert lines[0]["message"] == f"`{word}`: {word}"
    assert {lines[0][key] for key in ("layer", "parameter", "confirmed", "objective", "file")} == {word}
    assert lines[3]["reason"] == lines[7]["error"]["what"] == word


@given(st.text(st.characters()), st.floats())
def test_any_text_and_any_number_is_json(word: str, number: float) -> None:
    finding = dataclasses.replace(sick_report().findings[0], layer=word, facts={word: number})
    report = dataclasses.replace(sick_report(), findings=(finding,), suppressed=())
    line = objects(render((Scan(target=word, report=report),), look("jsonl")))[0]
    assert (line["target"], line["layer"]) == (word, word)
    assert line["facts"] == to_dict({word: number})
