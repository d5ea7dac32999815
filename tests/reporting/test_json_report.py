import json
import math
from pathlib import Path

from canned_reports import healthy, sick
from test_text_report import check_golden

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.records import Report, from_dict
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.json import render_error

JSON = Look(format="json")


def _refuse(name: str) -> float:
    raise AssertionError(f"{name} is not JSON")


def test_golden() -> None:
    check_golden("sick.json", render(sick(depth=1), JSON))


def test_it_parses_back_into_the_same_report() -> None:
    for report in (sick(), healthy()):
        parsed = json.loads(render(report, JSON), parse_constant=_refuse)
        again = from_dict(Report, parsed)
        assert render(again, JSON) == render(report, JSON)
        assert again.profiles == report.profiles
        assert again.prescriptions == report.prescriptions
        assert [f.code for f in again.findings] == [f.code for f in report.findings]


def test_the_version_comes_first_and_the_end_is_a_line_break() -> None:
    shown = render(sick(), JSON)
    assert shown.startswith('{\n  "schema_version": "1.1",')
    assert shown.endswith("}\n")


def test_numbers_that_json_lacks_are_strings() -> None:
    assert math.isinf(sick().findings[0].facts["slowest"])
    assert json.loads(render(sick(), JSON))["findings"][0]["facts"]["slowest"] == "inf"


def test_no_control_character_reaches_the_screen() -> None:
    import dataclasses

    hostile = dataclasses.replace(sick().findings[0], message="\x1b[2J \x7f \x9b \u202e [1,\n 2]")
    shown = render(dataclasses.replace(sick(), findings=(hostile,)), JSON)
    assert shown.isascii()
    assert shown.replace("\n", "").isprintable()
    assert json.loads(shown)["findings"][0]["message"] == hostile.message


def test_arrays_of_numbers_take_one_line() -> None:
    assert '"counts": [1, 2, 1],' in render(sick(), JSON)


def test_a_report_of_an_older_minor_version_is_read_with_defaults() -> None:
    stored = json.loads((Path(__file__).parent / "stored" / "report-1.0.json").read_text("utf-8"))
    assert stored["schema_version"] == "1.0"
    report = from_dict(Report, stored)
    assert (report.schema_version, report.trials) == ("1.0", ())
    assert [p.edits for p in report.prescriptions] == [(), ()]
    now = sick(depth=1)
    assert report.profiles[0].layers == now.profiles[0].layers
    assert [f.message for f in report.findings] == [f.message for f in now.findings]
    assert render(report, Look()) == render(now, Look())


def test_the_absence_of_a_verdict_is_a_document_too() -> None:
    parsed = json.loads(render_error(GradcheckError("E113", "a", "b", "c", trace="secret"), "0.1.0"))
    assert parsed == {
        "schema_version": "1.1",
        "tool_version": "0.1.0",
        "error": {"id": "E113", "what": "a", "why": "b", "do": "c", "where": None},
    }
