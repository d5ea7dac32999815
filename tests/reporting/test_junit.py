import dataclasses
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
import xmlschema
from canned_scans import HOSTILE, clean_scan, hostile, large, look, scans, sick_report
from hypothesis import given
from hypothesis import strategies as st
from test_text_report import check_golden

from gradcheck_cli.records import Scan
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.clean import clean

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "schemas" / "junit-10.xsd")


def document(shown: str) -> ET.Element:
    """Parse, validate, and count again."""
    SCHEMA.validate(shown)
    root = ET.fromstring(shown)
    suites = list(root)
    for suite in suites:
        tags = Counter(child.tag for case in suite for child in case)
        assert (suite.get("tests"), suite.get("failures")) == (str(len(suite)), str(tags["failure"]))
        assert (suite.get("errors"), suite.get("skipped")) == (str(tags["error"]), str(tags["skipped"]))
    for total in ("tests", "failures", "errors"):
        assert int(root.get(total, "")) == sum(int(suite.get(total, "")) for suite in suites)
    cases = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(cases)) == len(cases)
    return root


def test_golden() -> None:
    check_golden("scans_junit.xml", render(scans(), look("junit")))


def test_a_suite_for_each_target_and_rule() -> None:
    names = [suite.get("name") for suite in document(render(scans(), look("junit")))]
    assert names == [
        "examples/deep.py: GC101 vanishing-gradient",
        "examples/deep.py: GC202 saturation",
        "examples/deep.py: GC301",
        "examples/deep.py: GC602 initial-loss",
        "examples/fine.py:net: GC101 vanishing-gradient",
        "examples/fine.py:net: GC202 saturation",
        "examples/fine.py:net: GC602 initial-loss",
        "examples/broken.py: no verdict",
        "package.module:Net: no verdict",
    ]


def test_what_becomes_of_a_finding() -> None:
    root = document(render(scans(), look("junit")))
    told = {case.get("name"): [child.tag for child in case] for case in root[1]}
    assert told == {"net.39": ["failure"], "net.3": ["skipped"], "net.5": ["skipped"], "net.7": ["skipped"]}
    failure = root[0][0][0]
    assert failure.get("type") == "error"
    assert (failure.text or "").startswith("examples/deep.py:15\nblame: ")
    assert (failure.text or "").endswith("\nTried on a copy: ReLU in place of Sigmoid cures it.")
    assert root[1][1][0].attrib == {"type": "comment", "message": "accepted by comment: on purpose"}


def test_a_note_passes_and_is_told() -> None:
    (case,) = document(render(scans(), look("junit")))[3]
    assert [child.tag for child in case] == ["system-out"]
    assert (case[0].text or "").startswith("note: the first loss is 9.1 ")


def test_a_rule_that_found_nothing_passes_once() -> None:
    root = document(render(clean_scan(), look("junit")))
    assert [(len(suite), len(suite[0])) for suite in root] == [(1, 0)] * 3
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "0", "0")


def test_a_failed_target_is_an_error() -> None:
    (case,) = document(render(scans(), look("junit")))[-2]
    assert case[0].tag == "error"
    assert case[0].attrib["type"] == "E104"
    assert case[0].text == "examples/broken.py:3"


def test_one_layer_may_have_several_findings_of_a_rule() -> None:
    report = sick_report()
    first = report.findings[0]
    findings = (
        first,
        dataclasses.replace(first, parameter="net.1.weight"),
        dataclasses.replace(first, parameter="net.1.weight"),
    )
    root = document(render((Scan(target="a.py", report=dataclasses.replace(report, findings=findings)),), look("junit")))
    assert [case.get("name") for case in root[0]] == ["net.1", "net.1 net.1.weight", "net.1 net.1.weight (2)"]


def test_of_several_losses_the_case_names_its_own() -> None:
    report = sick_report()
    report = dataclasses.replace(report, profiles=report.profiles * 2)
    root = document(render((Scan(target="a.py", report=report),), look("junit")))
    assert root[0][0].get("name") == "net.1 under cross_entropy"


def test_many_findings() -> None:
    root = document(render(large(300), look("junit")))
    assert (root.get("tests"), root.get("failures")) == ("304", "200")


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_are_text(word: str) -> None:
    shown = render(hostile(word), look("junit"))
    assert shown.isascii()
    root = document(shown)
    assert {child.tag for child in root.iter()} <= {
        *("testsuites", "testsuite", "testcase", "failure", "error", "skipped", "system-out"),
    }
    failure = root[0][0][0]
    assert failure.get("message") == clean(f"`{word}`: {word}")


@given(st.text(st.characters() | st.sampled_from("<>&'\"]\x00\x0b\ufffe"), min_size=1))
def test_any_text_comes_back_cleaned(word: str) -> None:
    finding = dataclasses.replace(sick_report().findings[0], message=word, layer="", details=((word, word),))
    report = dataclasses.replace(sick_report(), findings=(finding,))
    root = ET.fromstring(render((Scan(target=word, report=report),), look("junit")))
    assert root[0][0][0].get("message") == clean(word)
    assert clean(f"{word}: {word}") in (root[0][0][0].text or "")
    assert root[0].get("name") == clean(f"{word}: GC101 vanishing-gradient")
