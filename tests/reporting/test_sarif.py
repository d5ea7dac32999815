import dataclasses
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
from canned_scans import HOSTILE, RULES, clean_scan, hostile, large, look, scans, sick_report
from hypothesis import given
from hypothesis import strategies as st
from test_text_report import check_golden

from gradcheck_cli.records import Report, Scan
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.base import RulePage
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.sarif import uri
from gradcheck_cli.reporting.sarif_rules import fitted
from gradcheck_cli.rules import declared

SCHEMA = jsonschema.Draft4Validator(
    json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0-rtm.5.json").read_text("utf-8"))
)


def runs(shown: str) -> list[dict]:
    """Parse, validate, and check what GitHub asks for beyond the schema."""
    document = json.loads(shown)
    SCHEMA.validate(document)
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    ids = [run["automationDetails"]["id"] for run in document["runs"]]
    assert len(set(ids)) == len(ids)
    assert all(each.startswith("gradcheck/") and each.endswith("/") for each in ids)
    for run in document["runs"]:
        _check_rules(run["tool"]["driver"])
        for result in run["results"]:
            _check_result(result, run["tool"]["driver"]["rules"])
        prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
        assert len(set(prints)) == len(prints)
    return document["runs"]


def _check_rules(driver: dict) -> None:
    assert driver["name"] == "gradcheck"
    assert [int(part) >= 0 for part in driver["semanticVersion"].split(".")] == [True] * 3
    for rule in driver["rules"]:
        texts = [rule["id"], rule["name"], rule["shortDescription"]["text"], rule["fullDescription"]["text"]]
        assert all(0 < len(text) <= 1024 for text in texts)
        assert len(rule["name"]) <= 255
        assert rule["help"]["text"]
        assert rule["help"]["markdown"]
        assert "helpUri" not in rule
        properties = rule["properties"]
        assert properties["precision"] in {"very-high", "high", "medium", "low"}
        assert properties["problem.severity"] in {"error", "warning", "recommendation"}
        assert 0 < len(properties["tags"]) <= 10
        assert not {"security-severity", "security"} & {*properties, *properties["tags"]}


def _check_result(result: dict, rules: list[dict]) -> None:
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["level"] in {"error", "warning", "note"}
    assert 0 < len(result["message"]["text"]) <= 1024
    (location,) = result["locations"]
    place = location["physicalLocation"]
    region = place["region"]
    assert 1 <= region["startLine"] == region["endLine"]
    assert 1 == region["startColumn"] < region["endColumn"]
    address = place["artifactLocation"]["uri"]
    assert address
    assert place["artifactLocation"].get("uriBaseId") == ("%SRCROOT%" if not urlsplit(address).scheme else None)
    assert all(name["fullyQualifiedName"] for name in location.get("logicalLocations", ()))


def alone(report: Report, target: str = "examples/deep.py") -> dict:
    (run,) = runs(render((Scan(target=target, report=report),), look("sarif")))
    return run


def test_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradcheck_cli.reporting.sarif.__version__", "0.1.0")
    check_golden("scans.sarif", render(scans(), look("sarif")))


def test_one_run_a_target_with_all_rules() -> None:
    shown = runs(render(scans(), look("sarif")))
    assert [run["automationDetails"]["id"] for run in shown] == [
        "gradcheck/models/examples/deep.py/",
        "gradcheck/models/examples/fine.py:net/",
        "gradcheck/models/examples/broken.py/",
        "gradcheck/package.module:Net/",
    ]
    assert all([rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["GC101", "GC202", "GC602"] for run in shown)
    assert [run["invocations"][0]["executionSuccessful"] for run in shown] == [True, True, False, False]
    assert [len(run["results"]) for run in shown] == [6, 0, 0, 0]


def test_one_target_in_two_spellings_is_two_categories() -> None:
    report = sick_report()
    twice = (Scan(target="a.py", report=report), Scan(target="./a.py", report=report))
    assert [run["automationDetails"]["id"] for run in runs(render(twice, look("sarif")))] == [
        "gradcheck/models/a.py/",
        "gradcheck/models/a.py (2)/",
    ]


def test_levels_layers_and_lines() -> None:
    first, _, note, *_ = runs(render(scans(), look("sarif")))[0]["results"]
    assert (first["level"], note["level"]) == ("error", "note")
    assert first["locations"][0]["logicalLocations"] == [{"fullyQualifiedName": "net.1", "kind": "module"}]
    assert "logicalLocations" not in note["locations"][0]
    physical = first["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "models/examples/deep.py", "uriBaseId": "%SRCROOT%"}
    assert physical["region"] == {"startLine": 15, "startColumn": 1, "endLine": 15, "endColumn": 44}  # the line's text is known
    assert (note["properties"]["lineKnown"], note["properties"]["exactLine"]) == (False, False)
    assert note["message"]["text"].endswith("(no line is known: line 1 stands in)")
    assert note["properties"]["facts"] == {"ratio": "nan"}


def test_the_message_ends_with_the_cure() -> None:
    first, _, note, *_ = runs(render(scans(), look("sarif")))[0]["results"]
    assert first["message"]["text"] == (
        "`net.1`: the gradient shrinks by 17.0 decades on its way to `net.0` (limit 3). "
        "Tried on a copy: ReLU in place of Sigmoid cures it."
    )
    assert "Tried" not in note["message"]["text"]


def test_a_message_that_is_too_long_gives_way_to_the_cure() -> None:
    report = sick_report()
    long = dataclasses.replace(report.findings[0], layer="a." * 2000, message="it is flat")
    trials = tuple(dataclasses.replace(trial, layer=long.layer) for trial in report.trials)
    text = alone(dataclasses.replace(report, findings=(long,), trials=trials))["results"][0]["message"]["text"]
    assert len(text) == 1024
    assert text.endswith("…. Tried on a copy: ReLU in place of Sigmoid cures it.")


def test_no_message_is_empty() -> None:
    report = sick_report()
    wordless = dataclasses.replace(report.findings[0], layer="", message="", name="")
    (first, *_) = alone(dataclasses.replace(report, findings=(wordless,), trials=()))["results"]
    assert first["message"]["text"] == "GC101"


def test_accepted_findings_are_suppressed_results() -> None:
    results = runs(render(scans(), look("sarif")))[0]["results"]
    assert [result["suppressions"] for result in results[:3]] == [[], [], []]
    kinds = [(r["suppressions"][0]["kind"], r["suppressions"][0]["justification"]) for r in results[3:]]
    assert kinds == [
        ("inSource", "on purpose"),
        ("external", "accepted by a setting, without a reason"),
        ("external", "known since May"),
    ]
    physical = results[3]["suppressions"][0]["location"]["physicalLocation"]
    assert (physical["artifactLocation"]["uri"], physical["region"]["startLine"]) == ("models/examples/deep.py", 12)
    assert "location" not in results[5]["suppressions"][0]


def test_an_alert_keeps_its_identity_when_numbers_and_lines_change() -> None:
    report = sick_report()
    before = [result["partialFingerprints"] for result in alone(report)["results"]]
    moved = tuple(
        dataclasses.replace(f, message="other", severity="note", site=f.site and dataclasses.replace(f.site, line=99))
        for f in report.findings
    )
    after = [result["partialFingerprints"] for result in alone(dataclasses.replace(report, findings=moved))["results"]]
    assert after == before
    assert before[0] == {
        "gradcheckFingerprint/v1": report.findings[0].fingerprint,
        "primaryLocationLineHash": f"{report.findings[0].fingerprint}:1",
    }


def test_findings_without_a_fingerprint_are_known_apart() -> None:
    report = sick_report()
    bare = tuple(dataclasses.replace(finding, fingerprint="") for finding in report.findings)
    alone(dataclasses.replace(report, findings=(*bare, *bare)))


def test_a_target_without_a_verdict_is_a_failed_run() -> None:
    failed = runs(render(scans(), look("sarif")))[2]
    (notification,) = failed["invocations"][0]["toolExecutionNotifications"]
    assert notification["descriptor"] == {"id": "E104"}
    assert notification["level"] == "error"
    assert notification["message"]["text"] == "examples/broken.py cannot be read: it is no Python; mend it"
    physical = notification["locations"][0]["physicalLocation"]
    assert (physical["artifactLocation"]["uri"], physical["region"]["startLine"]) == ("models/examples/broken.py", 3)


def test_a_failure_without_a_target_is_a_run_too() -> None:
    (run,) = runs(render((dataclasses.replace(scans()[3], target=""),), look("sarif")))
    assert run["automationDetails"]["id"] == "gradcheck/"
    assert run["invocations"][0]["toolExecutionNotifications"][0]["locations"] == []


def test_no_more_results_than_a_run_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradcheck_cli.reporting.sarif.MOST", 4)
    run = alone(sick_report())
    assert [result["ruleId"] for result in run["results"]] == ["GC101", "GC202", "GC602", "GC202"]
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"] == "2 further results are left out: a run holds 4."
    assert run["invocations"][0]["executionSuccessful"] is True


def test_the_limit_is_that_of_github() -> None:
    (run,) = runs(render(large(50), look("sarif")))
    assert len(run["results"]) == 53


def test_a_rule_that_is_not_described_is_described_by_its_finding() -> None:
    report = sick_report()
    strange = dataclasses.replace(report.findings[0], code="GC999", name="")
    run = alone(dataclasses.replace(report, findings=(strange,)))
    assert run["tool"]["driver"]["rules"][3]["shortDescription"] == {"text": "GC999"}


def test_every_rule_of_the_package_is_described_in_full() -> None:
    pages = tuple(RulePage(rule=file.rule, page=file.page) for file in declared())
    (run,) = runs(render(clean_scan(), look("sarif", rules=pages)))
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [page.rule.code for page in pages]
    assert all("What to do" in rule["help"]["text"] and "## What to do" in rule["help"]["markdown"] for rule in rules)
    tags = {tag for rule in rules for tag in rule["properties"]["tags"]}
    assert {"gradient-flow", "activations", "initialisation", "graph", "numerics", "data-and-loss", "gradcheck"} <= tags


def test_a_long_page_is_cut_in_the_description_and_whole_in_the_help() -> None:
    page = RulePage(rule=RULES[0].rule, page="Short.\n\nWhat it measures\n" + "It measures. " * 200)
    (run,) = runs(render(clean_scan(), look("sarif", rules=(page,))))
    (rule,) = run["tool"]["driver"]["rules"]
    assert len(rule["fullDescription"]["text"]) == 1024
    assert rule["fullDescription"]["text"].endswith("…")
    assert rule["help"]["text"].count("It measures.") == rule["help"]["markdown"].count("It measures.") == 200


def test_help_has_the_limits_as_lines() -> None:
    text = runs(render(clean_scan(), look("sarif")))[0]["tool"]["driver"]["rules"][0]["help"]["text"]
    assert "steady-error: 4 decades (chosen by us)" in text
    assert RULES[0].page.splitlines()[0] in text


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_are_text(word: str) -> None:
    shown = render(hostile(word), look("sarif"))
    assert shown.isascii()
    assert shown.replace("\n", "").isprintable()
    first, second, third = runs(shown)
    assert len(first["results"]) == 6
    assert first["results"][0]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == clean(word)
    assert all("](" not in result["message"]["text"] for result in first["results"])
    assert all(text.isprintable() for text in strings([first, second, third]) if "\n\n" not in text)


def strings(document: object) -> list[str]:
    if isinstance(document, dict):
        return [text for value in document.values() for text in strings(value)]
    if isinstance(document, list):
        return [text for value in document for text in strings(value)]
    return [document] if isinstance(document, str) else []


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_uri_reads_back_as_the_path(path: str) -> None:
    written = uri(path)
    assert unquote(written, errors="strict") == path
    assert written.isascii()
    assert not urlsplit(f"./{written}").query
    assert not urlsplit(written).scheme


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("models/a b#c.py", "models/a%20b%23c.py"),
        ("c:/a.py", "c%3A/a.py"),
        ("層.py", "%E5%B1%A4.py"),
        ("\ud800.py", "%3F.py"),
    ],
)
def test_uris(path: str, written: str) -> None:
    assert uri(path) == written


def test_an_absolute_path_has_no_base() -> None:
    report = sick_report()
    far = dataclasses.replace(report.findings[0], site=dataclasses.replace(report.findings[0].site, file="/far/a b.py"))
    physical = alone(dataclasses.replace(report, findings=(far,)))["results"][0]["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "file:///far/a%20b.py"}


@given(st.text(), st.integers(min_value=1, max_value=30))
def test_a_cut_text_says_so(text: str, most: int) -> None:
    shown = fitted(text, most)
    assert len(shown) <= most
    assert shown == text if len(text) <= most else shown.endswith("…")
