import json
import math
from pathlib import Path

from canned_reports import healthy, one, sick
from test_text_report import check_golden

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.records import Report, Scan, from_dict
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.base import Look

JSON = Look(format="json")


def _refuse(name: str) -> float:
    raise AssertionError(f"{name} is not JSON")


def test_golden() -> None:
    check_golden("sick.json", render(one(sick(depth=1)), JSON))


def test_it_parses_back_into_the_same_report() -> None:
    for report in (sick(), healthy()):
        parsed = json.loads(render(one(report), JSON), parse_constant=_refuse)
        again = from_dict(Report, parsed)
        assert render(one(again), JSON) == render(one(report), JSON)
        assert again.profiles == report.profiles
        assert again.prescriptions == report.prescriptions
        assert [f.code for f in again.findings] == [f.code for f in report.findings]


def test_the_version_comes_first_and_the_end_is_a_line_break() -> None:
    shown = render(one(sick()), JSON)
    assert shown.startswith('{\n  "schema_version": "1.2",')
    assert shown.endswith("}\n")


def test_numbers_that_json_lacks_are_strings() -> None:
    assert math.isinf(sick().findings[0].facts["slowest"])
    assert json.loads(render(one(sick()), JSON))["findings"][0]["facts"]["slowest"] == "inf"


def test_no_control_character_reaches_the_screen() -> None:
    import dataclasses

    hostile = dataclasses.replace(sick().findings[0], message="\x1b[2J \x7f \x9b \u202e [1,\n 2]")
    shown = render(one(dataclasses.replace(sick(), findings=(hostile,))), JSON)
    assert shown.isascii()
    assert shown.replace("\n", "").isprintable()
    assert json.loads(shown)["findings"][0]["message"] == hostile.message


def test_arrays_of_numbers_take_one_line() -> None:
    assert '"counts": [1, 2, 1],' in render(one(sick()), JSON)


def test_a_report_of_an_older_minor_version_is_read_with_defaults() -> None:
    stored = json.loads((Path(__file__).parent / "stored" / "report-1.0.json").read_text("utf-8"))
    assert stored["schema_version"] == "1.0"
    report = from_dict(Report, stored)
    assert (report.schema_version, report.trials) == ("1.0", ())
    assert [p.edits for p in report.prescriptions] == [(), ()]
    now = sick(depth=1)
    assert report.profiles[0].layers == now.profiles[0].layers
    assert [f.message for f in report.findings] == [f.message for f in now.findings]
    assert render(one(report), Look()) == render(one(now), Look())


def test_the_absence_of_a_verdict_is_a_document_too() -> None:
    error = GradcheckError("E113", "a", "b", "c", trace="secret").failure()
    parsed = json.loads(render((Scan(target="x.py", error=error),), JSON))
    assert parsed == {
        "schema_version": "1.2",
        "tool_version": "0.1.0",
        "error": {"id": "E113", "what": "a", "why": "b", "do": "c", "where": None},
    }


def test_several_targets_share_one_document() -> None:
    """Each is told by its name, with the report that it would have alone, or with its error."""
    failed = Scan(target="x.py", error=GradcheckError("E113", "a", "b", "c").failure())
    parsed = json.loads(render((*one(sick()), failed, *one(healthy())), JSON))
    assert list(parsed) == ["schema_version", "tool_version", "scans"]
    assert [scan["target"] for scan in parsed["scans"]] == ["examples/deep.py", "x.py", "examples/deep.py"]
    assert parsed["scans"][0]["report"] == json.loads(render(one(sick()), JSON))
    assert parsed["scans"][1]["error"]["id"] == "E113"
    assert "report" not in parsed["scans"][1]
