import re

from canned_scans import clean_scan, hostile, look, scans
from hypothesis import given
from hypothesis import strategies as st
from test_text_report import check_golden

from gradcheck_cli.reporting import render

LINE = re.compile(
    r"(?P<file>.*?):(?P<line>\d+): (?P<code>[GE]C?\d{3}) \[(?P<grade>error|warning|note|no verdict)\] (?P<rest>.+)"
)


def test_golden() -> None:
    check_golden("scans_concise.txt", render(scans(), look("concise")))


def test_one_line_for_each_finding_that_counts_and_for_each_failed_target() -> None:
    shown = render(scans(), look("concise")).splitlines()
    parts = [LINE.fullmatch(line) for line in shown]
    assert all(parts)
    assert [(p["code"], p["grade"], p["line"]) for p in parts if p] == [
        ("GC101", "error", "15"),
        ("GC202", "warning", "15"),
        ("GC602", "note", "1"),
        ("E104", "no verdict", "3"),
        ("E104", "no verdict", "1"),
    ]


def test_paths_are_relative_to_the_working_directory() -> None:
    assert render(scans(), look("concise", folder="elsewhere")) == render(scans(), look("concise", folder=""))


def test_it_says_where_no_line_is_known() -> None:
    assert render(scans(), look("concise")).count("(no line is known: line 1 stands in)") == 1


def test_nothing_found_is_no_line() -> None:
    assert render(clean_scan(), look("concise")) == ""


@given(st.text(st.characters(), min_size=1, max_size=20))
def test_no_name_makes_a_line_of_its_own(word: str) -> None:
    shown = render(hostile(word), look("concise"))
    assert shown.count("\n") == 5
    assert shown.replace("\n", "").isprintable()
    assert not re.search(r"^\s*::|##\[", shown, re.MULTILINE)
