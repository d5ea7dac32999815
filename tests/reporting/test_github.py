import dataclasses
import re

import pytest
from canned_scans import HOSTILE, clean_scan, hostile, look, scans, sick_report
from hypothesis import given
from hypothesis import strategies as st
from test_text_report import check_golden

from gradcheck_cli.records import Scan
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.github import command

COMMAND = re.compile(r"::(?P<name>error|warning|notice) (?P<properties>.*?)::(?P<message>.*)")


def unescaped(text: str, codes: str) -> str:
    """Read what the runner of GitHub reads: the percent sign last, as it does."""
    for token in codes:
        text = text.replace(f"%{ord(token):02X}", token)
    return text.replace("%25", "%")


def parsed(line: str) -> tuple[str, dict[str, str], str]:
    found = COMMAND.fullmatch(line)
    assert found, line
    pairs = [pair.split("=", 1) for pair in found["properties"].split(",")]
    properties = {key: unescaped(value, "\r\n:,") for key, value in pairs}
    return found["name"], properties, unescaped(found["message"], "\r\n")


def test_golden() -> None:
    check_golden("scans_github.txt", render(scans(), look("github")))


def test_the_gravest_of_all_targets_come_first_and_accepted_findings_do_not_come() -> None:
    mild = dataclasses.replace(sick_report(), findings=sick_report().findings[2:], suppressed=())
    shown = render((Scan(target="mild.py", report=mild), *scans()), look("github"))
    commands = [parsed(line) for line in shown.splitlines()]
    assert [(name, properties["title"]) for name, properties, _ in commands] == [
        ("error", "gradcheck (E104)"),
        ("error", "gradcheck (E104)"),
        ("error", "gradcheck (GC101 vanishing-gradient)"),
        ("warning", "gradcheck (GC202 saturation)"),
        ("notice", "gradcheck (GC602 initial-loss)"),
        ("notice", "gradcheck (GC602 initial-loss)"),
    ]
    assert commands[4][1]["file"] == "models/mild.py"  # within a grade, targets and findings keep their order


def test_a_command_has_the_place_and_the_cure() -> None:
    (_, properties, message), *_ = [parsed(line) for line in render(scans(), look("github")).splitlines()][2:]
    assert (properties["file"], properties["line"]) == ("models/examples/deep.py", "15")
    assert message == (
        "`net.1`: the gradient shrinks by 17.0 decades on its way to `net.0` (limit 3)\n"
        "Tried on a copy: ReLU in place of Sigmoid cures it."
    )


def test_a_failure_without_a_target_has_no_place() -> None:
    scan = dataclasses.replace(scans()[3], target="")
    _, properties, _ = parsed(render((scan,), look("github")).rstrip("\n"))
    assert properties == {"title": "gradcheck (E104)"}


def test_nothing_found_is_no_line() -> None:
    assert render(clean_scan(), look("github")) == ""


@pytest.mark.parametrize("word", HOSTILE)
def test_nothing_can_forge_a_command(word: str) -> None:
    commands = [parsed(line) for line in render(hostile(word), look("github")).splitlines()]
    assert [name for name, _, _ in commands] == ["error"] * 3 + ["warning", "notice"]
    assert all(set(properties) == {"file", "line", "title"} for _, properties, _ in commands)
    assert clean(word) in commands[2][2]


@given(st.text(st.characters() | st.sampled_from("%:,=\r\n0ADC25")), st.text(st.characters() | st.sampled_from("%:\r\n")))
def test_the_runner_reads_what_was_written(value: str, message: str) -> None:
    line = command("error", {"title": value, "line": "1"}, [message, "end"])
    assert line.isprintable()
    assert parsed(line) == ("error", {"title": clean(value), "line": "1"}, f"{clean(message)}\nend")
