"""What holds for every format, those to come included: each is named in `settings.Format`."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from canned_scans import HOSTILE, clean_scan, failed, hostile, large, look, scans, sick_report
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gitlab import entries
from test_junit import document
from test_sarif import runs

from gradcheck_cli.records import Report, Scan, from_dict, to_dict
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.base import Look, RulePage
from gradcheck_cli.rules import declared
from gradcheck_cli.settings import Format

FORMATS = typing.get_args(Format)
ASCII = {"json", "jsonl", "sarif", "junit", "gitlab"}
LINES = {"concise", "jsonl", "github"}  # without a finding they are empty
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def refuse(name: str) -> float:
    raise AssertionError(f"{name} is not JSON")


def check(form: str, shown: str) -> None:
    """Check what a reader of the format relies on."""
    shown.encode("utf-8")
    assert not OBEYED.search(shown)
    assert shown.endswith("\n") or (form in LINES and shown == "")
    assert not re.search(r"^\s*::(?!error |warning |notice )", shown, re.MULTILINE)
    assert "##[" not in shown
    assert shown.isascii() or form not in ASCII
    if form == "json":
        json.loads(shown, parse_constant=refuse)
    elif form == "jsonl":
        assert all(isinstance(json.loads(line, parse_constant=refuse), dict) for line in shown.splitlines())
    elif form == "sarif":
        runs(shown)
    elif form == "gitlab":
        entries(shown)
    elif form == "junit":
        document(shown)


CASES = {
    "all": scans(),
    "one": scans()[:1],
    "clean": clean_scan(),
    "failed": (failed("a.py"),),
    "no target known": (dataclasses.replace(failed("a.py"), target=""),),
    "one target twice": scans()[:1] * 2,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form", FORMATS)
def test_it_is_valid(form: str, case: str) -> None:
    check(form, render(CASES[case], look(form)))


@pytest.mark.parametrize("form", FORMATS)
def test_it_is_valid_without_any_rule_and_with_all(form: str) -> None:
    pages = tuple(RulePage(rule=file.rule, page=file.page) for file in declared())
    check(form, render(scans(), look(form, rules=pages)))
    check(form, render(scans(), Look(format=form)))


@pytest.mark.parametrize("form", FORMATS)
def test_it_is_valid_where_nothing_was_scanned(form: str) -> None:
    check(form, render((), look(form)) or ("" if form in LINES else "\n"))


@pytest.mark.parametrize("word", HOSTILE)
@pytest.mark.parametrize("form", FORMATS)
def test_hostile_words_command_nothing(form: str, word: str) -> None:
    check(form, render(hostile(word), look(form)))


@pytest.mark.parametrize("form", FORMATS)
@given(word=st.text(st.characters(), max_size=12))
@settings(max_examples=25)
def test_any_word_is_text(form: str, word: str) -> None:
    check(form, render(hostile(word or "x")[:2], look(form)))


@pytest.mark.parametrize("form", FORMATS)
def test_a_screen_without_unicode_gets_ascii(form: str) -> None:
    assert render(hostile("层.ブロック"), look(form, unicode=False)).isascii()


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_scans_give_the_same_bytes(form: str) -> None:
    """Also from a saved report: what a format shows is all in the record."""
    again = tuple(
        dataclasses.replace(s, report=s.report and from_dict(Report, json.loads(json.dumps(to_dict(s.report)))))
        for s in scans()
    )
    shown = render(scans(), look(form))
    assert shown == render(scans(), look(form)) == render(again, look(form))
    assert os.getcwd() not in shown
    assert not re.search(r"\d\d:\d\d:\d\d", shown)


def counted(form: str, shown: str) -> int | None:
    """Count the findings in a text that count; None where the format has no such list."""
    if form in ("concise", "github"):
        return sum("GC" in line for line in shown.splitlines())
    if form == "jsonl":
        return sum(json.loads(line).get("status") == "new" for line in shown.splitlines())
    if form == "json":
        return sum(len(scan["report"]["findings"]) for scan in json.loads(shown)["scans"] if "report" in scan)
    if form == "sarif":
        return sum(not result["suppressions"] for run in runs(shown) for result in run["results"])
    if form == "gitlab":
        return sum(entry["severity"] != "blocker" for entry in entries(shown))
    if form == "junit":
        return sum(child.tag in ("failure", "system-out") for case in document(shown).iter("testcase") for child in case)
    return len(re.findall(r"^\| (?:error|warning|note) \|", shown, re.MULTILINE)) if form == "markdown" else None


@pytest.mark.parametrize("form", FORMATS)
def test_all_formats_have_the_same_findings(form: str) -> None:
    more = (*scans(), Scan(target="other.py", report=sick_report()))
    assert counted(form, render(more, look(form))) in (6, None)
    assert (counted(form, render(more, look(form))) is None) == (form == "text")


@pytest.mark.slow
@pytest.mark.parametrize("form", sorted(ASCII | LINES))
def test_five_thousand_findings(form: str) -> None:
    scan, other = *large(), failed("a.py")
    shown = render((scan, other), look(form))
    assert counted(form, shown) == 5000 if form != "json" else len(shown) > 5000
    check(form, shown)


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "text"])
def test_importing_it_loads_nothing_heavy(form: str) -> None:
    code = f"import sys, gradcheck_cli.reporting.{form}\nassert not {{'torch', 'numpy', 'rich', 'yaml'}} & sys.modules.keys()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_format_has_a_golden_file() -> None:
    goldens = {file.name for file in (Path(__file__).parent / "goldens").iterdir()}
    ours = {form for form in FORMATS if form not in ("text", "json")}
    assert all(any(name.startswith("scans") and form in name for name in goldens) for form in ours)
