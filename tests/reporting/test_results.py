import dataclasses

import pytest
from canned_scans import failed, healthy_report, look, scans, sick_report
from hypothesis import given
from hypothesis import strategies as st

from gradcheck_cli.records import Report, Scan, SourceSite
from gradcheck_cli.reporting.results import Result, failure_site, known_by, name_of, results, told_apart


def one(report: Report | None = None, target: str = "examples/deep.py", **changes: object) -> Result:
    report = report or sick_report()
    report = dataclasses.replace(report, findings=(dataclasses.replace(report.findings[0], **changes), *report.findings[1:]))
    return results(Scan(target=target, report=report))[0]


def test_what_counts_comes_first_and_a_target_without_a_report_has_nothing() -> None:
    found = results(scans()[0])
    assert [(r.finding.code, r.suppressed.by if r.suppressed else "") for r in found] == [
        ("GC101", ""),
        ("GC202", ""),
        ("GC602", ""),
        ("GC202", "comment"),
        ("GC202", "setting"),
        ("GC202", "baseline"),
    ]
    assert results(failed("a.py")) == []


def test_without_a_line_the_first_line_of_the_target_stands_in_and_it_says_so() -> None:
    known, unknown = one(), one(layer="", site=None)
    assert (known.site.line, known.placed, known.remark) == (15, True, "")
    assert unknown.site == SourceSite(file="examples/deep.py", line=1, exact=False)
    assert (unknown.placed, unknown.remark) == (False, " (no line is known: line 1 stands in)")


def test_the_line_of_what_holds_the_layer_is_known() -> None:
    held = one(layer="net.1.inner", site=None)
    assert (held.site.exact, held.placed, held.remark) == (False, True, "")


@pytest.mark.parametrize(
    ("layer", "message", "short", "full"),
    [
        ("a", "`a`: it is flat", "it is flat", "`a`: it is flat"),
        ("a", "lost on the way to `a`", "lost on the way to `a`", "lost on the way to `a`"),
        ("a", "the gradient is lost", "the gradient is lost", "`a`: the gradient is lost"),
        ("", "the loss is odd", "the loss is odd", "the loss is odd"),
    ],
)
def test_a_message_names_the_layer_where_nothing_else_does(layer: str, message: str, short: str, full: str) -> None:
    result = one(layer=layer, message=message)
    assert (result.short, result.message) == (short, full)


def test_the_cure_is_the_best_trial_that_cured_or_that_of_another_finding() -> None:
    own, other, note, accepted, *_ = results(scans()[0])
    assert own.cure == other.cure == "Tried on a copy: ReLU in place of Sigmoid cures it."
    assert (note.cure, accepted.cure) == ("", "")
    report = sick_report()
    second = dataclasses.replace(report.findings[1], layer="net.37")
    twice = dataclasses.replace(report, findings=(*report.findings[:2], second))
    assert [r.cure != "" for r in results(Scan(target="a.py", report=twice))[:3]] == [True, False, False]
    unhelped = dataclasses.replace(report, trials=tuple(t for t in report.trials if t.outcome != "cured"))
    assert {r.cure for r in results(Scan(target="a.py", report=unhelped))} == {""}


@pytest.mark.parametrize(
    ("target", "where", "site"),
    [
        ("a.py", "b.py:3", SourceSite(file="b.py", line=3)),
        ("a.py", "C:/x/b.py:3", SourceSite(file="C:/x/b.py", line=3)),
        ("a.py", "pyproject.toml", SourceSite(file="pyproject.toml", line=1, exact=False)),
        ("a.py", None, SourceSite(file="a.py", line=1, exact=False)),
        ("a.b:net", None, SourceSite(file="a/b.py", line=1, exact=False)),
        ("", None, None),
        ("a.py", "b.py:0", SourceSite(file="b.py", line=1)),
    ],
)
def test_the_place_of_a_failure(target: str, where: str | None, site: SourceSite | None) -> None:
    assert failure_site(failed(target, where)) == site


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("./a.py", "models/a.py"),
        ("../a.py:net", "a.py:net"),
        ("pkg.a:Net", "pkg.a:Net"),
        ("a.safetensors", "models/a.safetensors"),
        ("", ""),
    ],
)
def test_a_target_has_one_name_in_all_folders(target: str, name: str) -> None:
    assert name_of(target, look("sarif")) == name


def test_what_has_no_fingerprint_is_known_by_the_same_parts() -> None:
    place = look("sarif")
    assert known_by(one(), place) == one().finding.fingerprint
    bare = known_by(one(fingerprint=""), place)
    assert len(bare) == 32
    assert bare == known_by(one(fingerprint="", message="other", severity="note", site=None, facts={}), place)
    others = [{"layer": "net.2"}, {"parameter": "net.1.weight"}, {"code": "GC102"}, {"target": "b.py"}, {"layer": "\ud800"}]
    assert len({bare, *(known_by(one(fingerprint="", **other), place) for other in others)}) == 6


@given(st.lists(st.sampled_from(["a", "a (2)", "a (2) (2)", "b", ""])))
def test_names_are_told_apart_and_the_first_of_each_stays(names: list[str]) -> None:
    apart = told_apart(names)
    assert len(set(apart)) == len(names)
    assert all(new.startswith(old) for old, new in zip(names, apart, strict=True))
    assert apart == told_apart(names)


def test_names_that_differ_stay() -> None:
    assert told_apart(["b", "a", "b", "b"]) == ["b", "a", "b (2)", "b (3)"]


def test_a_report_without_findings_has_no_results() -> None:
    report = dataclasses.replace(healthy_report(), findings=())
    assert results(Scan(target="a.py", report=report)) == []
