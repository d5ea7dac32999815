"""Reading reports that were written earlier, by this version and by others."""

from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.gate import stored
from gradcheck_cli.gate.comparison import compare_scans
from gradcheck_cli.gate.stored import read_scans
from gradcheck_cli.records import SCHEMA_VERSION, Failure, Report, Scan, to_dict
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.json import render
from gradcheck_cli.rules.examples import layer_of, profile_of, stats_of

STORED = sorted((Path(__file__).parents[1] / "reporting" / "stored").glob("report-1.*.json"))


def report(**layer: Any) -> Report:
    return Report(tool_version="0.1.0", profiles=(profile_of(layer_of("a", **layer), layer_of("b")),), findings=())


def write(folder: Path, content: object) -> str:
    file = folder / "report.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(file)


def refusal(path: str) -> GradcheckError:
    with pytest.raises(GradcheckError) as error:
        read_scans(path)
    assert error.value.id == "E685"
    assert error.value.what == f"cannot read the report {path}"
    return error.value


@pytest.mark.parametrize("file", STORED, ids=lambda file: file.stem)
def test_reports_of_older_minor_versions_are_read_and_compared(file: Path) -> None:
    assert len(STORED) >= 2
    scans = read_scans(str(file))
    assert scans[0].target == "examples/deep.py"
    assert compare_scans(scans, scans).comparisons[0].verdict == "alike"


def test_one_report_is_one_scan_and_several_are_several(tmp_path: Path) -> None:
    one = Scan(target="example.py", report=report())
    failed = Scan(target="bad.py", error=Failure(id="E113", what="w", why="y", do="d", where="bad.py:1"))
    for scans in ((one,), (one, failed)):
        assert read_scans(write(tmp_path, render(scans, Look()).encode())) == scans
    nameless = read_scans(write(tmp_path, render((failed,), Look()).encode()))
    assert (nameless[0].report, nameless[0].error) == (None, failed.error)


def test_a_newer_minor_version_is_read_without_what_is_new_in_it(tmp_path: Path) -> None:
    document = {**to_dict(report()), "schema_version": "1.99", "invented": {"later": 1}}
    document["profiles"][0]["layers"][0]["invented"] = 3
    scans = read_scans(write(tmp_path, document))
    assert scans[0].report is not None
    assert scans[0].report.profiles == report().profiles


def test_numbers_that_json_lacks_come_back_as_numbers_and_words_stay_words(tmp_path: Path) -> None:
    given = report(gradient=math.nan, facts={"padding_mode": "inf", "eps": 1e-5})
    read = read_scans(write(tmp_path, to_dict(given)))[0].report
    assert read is not None
    layer = read.profiles[0].layers[0]
    assert layer.gradient is not None
    assert math.isnan(layer.gradient.l2)
    assert layer.facts == {"padding_mode": "inf", "eps": 1e-5}
    infinite = report(output=stats_of(math.inf))
    layer = read_scans(write(tmp_path, to_dict(infinite)))[0].report.profiles[0].layers[0]  # type: ignore[union-attr]
    assert layer.output == stats_of(math.inf)


@pytest.mark.parametrize("version", ["2.0", "2.7", "0.9", "", "x"])
def test_another_major_version_is_refused(tmp_path: Path, version: str) -> None:
    error = refusal(write(tmp_path, {**to_dict(report()), "schema_version": version}))
    assert (
        error.why
        == f"its form is {version or 'unknown'}, and this version of gradcheck reads {SCHEMA_VERSION.partition('.')[0]}.x"
    )
    assert error.do == "read it with the version of gradcheck that wrote it, or scan again"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"error E101: no such file\n", "it is not JSON: "),
        (b'{"schema_version": "1.0"', "it is not JSON: "),
        (b"\xff\xfe\xff", "it is not JSON: "),
        (b"[" * 100_000, "it is not JSON: "),
        ([], "it is JSON, but no report of gradcheck"),
        ({"profiles": []}, "it is JSON, but no report of gradcheck"),
        ({"schema_version": 1}, "it is JSON, but no report of gradcheck"),
        ({"schema_version": "1.0", "tool_version": "0.1.0", "findings": []}, "it holds no report"),  # a baseline
        ({"schema_version": "1.0", "scans": []}, "it holds no report"),
        ({"schema_version": "1.0", "scans": 3}, "it is damaged: "),
        ({"schema_version": "1.0", "scans": [3]}, "it is damaged: "),
        ({"schema_version": "1.0", "error": {"id": "E101"}}, "it is damaged: "),
        ({**to_dict(report()), "profiles": []}, "it is damaged: a report without a profile"),
        ({**to_dict(report()), "profiles": [{}]}, "it is damaged: "),
        ({**to_dict(report()), "profiles": "none"}, "it is damaged: "),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: object, why: str) -> None:
    error = refusal(write(tmp_path, content))
    assert error.why.startswith(why)
    assert error.do == "write it with: gradcheck scan model.py --format json -o report.json"
    assert "\n" not in error.why


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "missing.json")).why == "No such file or directory"
    assert refusal(str(tmp_path)).why == "Is a directory"
    assert "null byte" in refusal("a\0b").why


def test_what_is_too_large_is_refused_before_all_of_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_LARGEST", 1 << 20)
    assert refusal("/dev/zero").why == "it has more than 1 MiB"


def test_a_pipe_can_be_read(tmp_path: Path) -> None:
    """As `gradcheck compare <(git show main:report.json) new.json` makes one."""
    os.mkfifo(tmp_path / "pipe")
    text = json.dumps(to_dict(report()))
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(text,))
    writer.start()
    assert read_scans(str(tmp_path / "pipe"))[0].target == "example.py"
    writer.join()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_report_that_a_shell_has_encoded_anew_is_read(tmp_path: Path, encoding: str) -> None:
    assert read_scans(write(tmp_path, json.dumps(to_dict(report())).encode(encoding)))[0].target == "example.py"
