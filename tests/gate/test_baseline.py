import contextlib
import dataclasses
import json
import math
from pathlib import Path

import pytest
from gated import chain, comment, dead, gated, judged, written
from hypothesis import given
from hypothesis import strategies as st

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.gate import baseline as subject
from gradcheck_cli.gate.baseline import rewritten
from gradcheck_cli.gate.baseline_file import Baseline, read_baseline, render_baseline, without_missing_files
from gradcheck_cli.gate.decide import decide
from gradcheck_cli.gate.fingerprint import fingerprint_of
from gradcheck_cli.records import BaselineEntry, Profile, Report, Scan
from gradcheck_cli.rules import load_rules
from gradcheck_cli.rules.reading import Reading
from gradcheck_cli.settings import Settings


def baseline_of(profile: Profile, *more: object, old: Baseline | None = None, add: bool = True, **options: object) -> Baseline:
    report, settings = judged(profile, *more, **options)
    return rewritten(old or Baseline(), [(Scan(target="model.py", report=decide(report, (), settings)), settings)], add=add)


def against(baseline: Baseline, folder: Path, profile: Profile, *more: object, **options: object) -> Report:
    return gated(profile, *more, baseline=written(folder, render_baseline(baseline)), **options)


def renamed(known: BaselineEntry, **changes: str) -> BaselineEntry:
    """Another entry, with the fingerprint that belongs to it."""
    other = dataclasses.replace(known, **changes)
    return dataclasses.replace(other, fingerprint=fingerprint_of(other.target, other.code, other.layer, other.parameter))


SICK = chain(0.1, 8)  # 7 decades


def test_what_is_known_does_not_count_and_stays_in_the_report(tmp_path: Path) -> None:
    report = against(baseline_of(SICK), tmp_path, SICK)
    assert report.findings == ()
    assert [(s.finding.code, s.by) for s in report.suppressed] == [("GC101", "baseline")]
    assert report.baseline is not None
    assert (report.baseline.known, report.baseline.worse, report.baseline.stale, report.baseline.remarks) == (1, 0, (), ())


def test_what_is_new_counts(tmp_path: Path) -> None:
    report = against(baseline_of(SICK), tmp_path, SICK, dead("net.3"))
    assert [f.code for f in report.findings] == ["GC201"]
    assert against(Baseline(), tmp_path, SICK).findings != ()


@pytest.mark.parametrize(("layers", "counts"), [(8, False), (9, True), (7, False), (20, True)])
def test_a_known_finding_that_is_worse_by_a_decade_counts_again(tmp_path: Path, layers: int, counts: bool) -> None:
    """A chain of ten to one a layer loses one decade more with each layer."""
    report = against(baseline_of(SICK), tmp_path, chain(0.1, layers))
    assert bool(report.findings) == counts
    assert report.baseline is not None
    assert report.baseline.worse == int(counts)
    if counts:
        assert ("baseline", f"it was 7 decades when the baseline was written, and is {layers - 1} decades") in report.findings[
            0
        ].details


def test_just_below_the_margin_is_known(tmp_path: Path) -> None:
    """Seven segments that lose 1.14 decades each lose 0.98 decades more than before."""
    assert against(baseline_of(SICK), tmp_path, chain(10**-1.14, 8)).findings == ()
    assert against(baseline_of(SICK), tmp_path, chain(10**-1.15, 8)).findings != ()


@pytest.mark.parametrize(
    ("code", "limit", "before", "after", "counts"),
    [
        ("GC201", 0.5, 0.5, 0.69, False),
        ("GC201", 0.5, 0.5, 0.7, True),
        ("GC201", 0.5, 0.9, 0.6, False),
        ("GC501", 0.0, 1.0, 1.0, False),
        ("GC401", 0.0, 3.0, 5.0, False),
        ("GC401", 0.0, 3.0, 6.0, True),
        ("GC401", 0.0, 6.0, 1.0, False),
        ("GC601", 10.0, 100.0, 900.0, False),
        ("GC601", 10.0, 100.0, 1000.0, True),
        ("GC601", 10.0, 100.0, math.nan, True),
        ("GC601", 10.0, math.inf, 100.0, False),
        ("GC301", 0.1, 1e-3, 2e-4, False),
        ("GC301", 0.1, 1e-3, 1e-4, True),
        ("GC301", 0.1, 1e-4, 1e-2, False),
        ("GC106", 0.1, 300.0, 2.0, False),
        ("GC106", 0.1, 2.0, 300.0, True),
        ("GC203", 0.01, 1e-3, 1e-4, True),
        ("GC203", 0.01, 1e-3, 2e-4, False),
        ("GC203", 0.01, 1e-3, 1e-1, False),
    ],
)
def test_margins_follow_what_the_rule_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, limit: float, before: float, after: float, counts: bool
) -> None:
    """The number at the time of the baseline, and now; the rule says on which side of its limit it is ill."""
    quantity = next(f.effect for f in load_rules() if f.rule.code == code)
    finding = dataclasses.replace(dead("net.3"), code=code)
    healthy = chain(1.0, 8)

    def measure(value: float) -> None:
        monkeypatch.setattr(subject, "read_effect", lambda *_: (quantity, Reading(value, limit)))

    measure(before)
    known = baseline_of(healthy, finding)
    measure(after)
    assert bool(against(known, tmp_path, healthy, finding).findings) == counts


def test_fixed_ones_are_stale_but_not_where_the_rule_was_not_asked_or_another_target_was_scanned(tmp_path: Path) -> None:
    known, healthy = baseline_of(SICK), chain(1.0, 8)
    report = against(known, tmp_path, healthy)
    assert report.baseline is not None
    assert [(e.code, e.layer) for e in report.baseline.stale] == [(known.findings[0].code, known.findings[0].layer)]
    for options in ({"ignore": ("GC101",)}, {"identity": "other.py"}):
        other = against(known, tmp_path, healthy, **options)
        assert other.baseline is not None
        assert other.baseline.stale == ()


def test_one_that_a_comment_accepts_is_not_stale(tmp_path: Path) -> None:
    file = written(tmp_path, render_baseline(baseline_of(SICK)))
    line = gated(SICK).findings[0].site
    assert line is not None
    report = gated(SICK, comments=(comment(line.line, "GC101"),), baseline=file)
    assert report.findings == ()
    assert [s.by for s in report.suppressed] == ["comment"]
    assert report.baseline is not None
    assert report.baseline.stale == ()


def test_a_known_finding_that_is_graver_counts_again(tmp_path: Path) -> None:
    """Its number may have moved by less than the margin: what was accepted was a warning."""
    rules = {"GC101": {"severity": "warning"}}
    known = baseline_of(SICK, rules=rules)
    assert against(known, tmp_path, SICK, rules=rules).findings == ()
    (again,) = against(known, tmp_path, SICK).findings
    assert ("baseline", "it was a warning when the baseline was written, and is an error") in again.details
    assert against(baseline_of(SICK), tmp_path, SICK, rules=rules).findings == ()


def test_a_finding_about_a_path_is_known_whichever_layer_is_blamed(tmp_path: Path) -> None:
    known = baseline_of(SICK)
    entry = renamed(known.findings[0], layer="net.7")
    moved = dataclasses.replace(known, findings=(entry,))
    assert against(moved, tmp_path, SICK).findings == ()
    for other in (renamed(entry, code="GC102"), renamed(entry, entry="embed")):
        assert against(dataclasses.replace(known, findings=(other,)), tmp_path, SICK).findings != ()


def test_a_dead_layer_is_not_known_because_another_one_was(tmp_path: Path) -> None:
    healthy = chain(1.0, 8)
    known = baseline_of(healthy, dead("net.3"))
    report = against(known, tmp_path, healthy, dead("net.4"))
    assert [f.layer for f in report.findings] == ["net.4"]
    assert report.baseline is not None
    assert [e.layer for e in report.baseline.stale] == ["net.3"]


def test_other_conditions_are_remarks(tmp_path: Path) -> None:
    report = against(baseline_of(SICK), tmp_path, SICK, seed=3, lr=0.1)
    assert report.findings == ()
    assert report.baseline is not None
    assert report.baseline.remarks == (
        "the baseline was written with seed 0, this scan has seed 3",
        "the baseline was written with other settings of the loss, the optimizer, the input or the limits",
    )


class TestRewriting:
    def test_writing_twice_changes_no_byte(self) -> None:
        once = baseline_of(SICK)
        assert render_baseline(baseline_of(SICK, old=once)) == render_baseline(once)

    def test_reasons_and_entries_of_other_targets_and_rules_stay(self) -> None:
        once = baseline_of(SICK)
        reasoned = dataclasses.replace(once.findings[0], reason="known since 2025")
        foreign = dataclasses.replace(once.findings[0], target="other.py", fingerprint="a" * 32)
        unasked = dataclasses.replace(once.findings[0], code="GC501", fingerprint="b" * 32)
        old = dataclasses.replace(once, findings=(reasoned, foreign, unasked))
        new = baseline_of(SICK, old=old, ignore=("GC501",))
        assert {(e.target, e.code, e.reason) for e in new.findings} == {
            ("model.py", "GC101", "known since 2025"),
            ("other.py", "GC101", ""),
            ("model.py", "GC501", ""),
        }

    def test_writing_takes_out_what_is_gone_and_takes_the_new_number(self) -> None:
        old = baseline_of(SICK, dead("net.3"))
        new = baseline_of(chain(0.1, 12), old=old)
        assert [(e.code, e.value) for e in new.findings] == [("GC101", pytest.approx(11.0))]

    def test_pruning_adds_nothing_and_changes_no_number(self) -> None:
        old = baseline_of(SICK, dead("net.3"))
        new = baseline_of(chain(0.1, 12), dead("net.5"), old=old, add=False)
        assert [(e.code, e.layer, e.value) for e in new.findings] == [
            (e.code, e.layer, e.value) for e in old.findings if e.code == "GC101"
        ]

    def test_a_comment_accepted_finding_is_not_written(self) -> None:
        report, settings = judged(SICK)
        line = report.findings[0].site
        assert line is not None
        done = decide(report, (comment(line.line, "GC101"),), settings)
        assert rewritten(Baseline(), [(Scan(target="model.py", report=done), settings)], add=True).findings == ()

    def test_unused_suppressions_are_not_for_a_baseline(self) -> None:
        report, settings = judged(SICK)
        done = decide(report, (comment(99, "GC201"),), settings)
        assert [f.code for f in done.findings] == ["GC101", "GC901"]
        new = rewritten(Baseline(), [(Scan(target="model.py", report=done), settings)], add=True)
        assert [e.code for e in new.findings] == ["GC101"]

    def test_entries_of_a_deleted_file_go(self, tmp_path: Path) -> None:
        (tmp_path / "model.py").touch()
        once = baseline_of(SICK).findings[0]
        targets = ("model.py", "model.py:net", "gone.py:net", "package.module:net")
        entries = tuple(dataclasses.replace(once, target=t, fingerprint=t) for t in targets)
        kept = without_missing_files(dataclasses.replace(baseline_of(SICK), findings=entries), tmp_path)
        assert [e.target for e in kept.findings] == ["model.py", "model.py:net", "package.module:net"]
        assert [how.target for how in kept.targets] == ["model.py"]
        (tmp_path / "model.py").unlink()
        assert without_missing_files(kept, tmp_path).targets == ()


class TestFile:
    def test_what_is_written_is_read_back(self, tmp_path: Path) -> None:
        baseline = baseline_of(SICK, dead("net.3"))
        again = read_baseline(written(tmp_path, render_baseline(baseline)))
        assert set(again.findings) == set(baseline.findings)
        assert again.targets == baseline.targets

    def test_entries_are_sorted_whatever_order_they_were_found_in(self) -> None:
        baseline = baseline_of(chain(1.0, 8), dead("net.3"), dead("net.1"), dead("net.2"))
        turned = dataclasses.replace(baseline, findings=baseline.findings[::-1])
        assert render_baseline(baseline) == render_baseline(turned)
        assert [e["layer"] for e in json.loads(render_baseline(baseline))["findings"]] == ["net.1", "net.2", "net.3"]

    def test_a_file_of_an_older_or_newer_minor_version_is_read(self, tmp_path: Path) -> None:
        document = json.loads(render_baseline(baseline_of(SICK)))
        document["schema_version"] = "1.7"
        document["findings"][0]["colour"] = "red"
        document["mood"] = {}
        assert read_baseline(written(tmp_path, json.dumps(document))).findings == baseline_of(SICK).findings
        for key in ("reason", "label", "unit", "value", "parameter"):
            del document["findings"][0][key]
        del document["targets"]
        old = read_baseline(written(tmp_path, json.dumps({**document, "schema_version": "1.0"})))
        assert [e.fingerprint for e in old.findings] == [e.fingerprint for e in baseline_of(SICK).findings]
        assert against(old, tmp_path, SICK).findings == ()

    @pytest.mark.parametrize(
        "changes", [{"layer": "net.2"}, {"code": "GC102"}, {"target": "other.py"}, {"fingerprint": "0" * 32}]
    )
    def test_an_entry_that_its_fingerprint_contradicts_is_refused(self, tmp_path: Path, changes: dict[str, str]) -> None:
        """It would accept something else than it says."""
        document = json.loads(render_baseline(baseline_of(SICK)))
        document["findings"][0].update(changes)
        with pytest.raises(GradcheckError, match="E683"):
            read_baseline(written(tmp_path, json.dumps(document)))

    def test_an_entry_that_stands_there_twice_is_refused(self, tmp_path: Path) -> None:
        document = json.loads(render_baseline(baseline_of(SICK)))
        document["findings"] *= 2
        with pytest.raises(GradcheckError) as caught:
            read_baseline(written(tmp_path, json.dumps(document)))
        assert caught.value.why.endswith("stands there twice")

    def test_an_entry_without_its_number_says_that_it_accepts_anything(self, tmp_path: Path) -> None:
        document = json.loads(render_baseline(baseline_of(SICK)))
        document["findings"][0]["label"] = "dorp"
        report = gated(chain(0.1, 30), baseline=written(tmp_path, json.dumps(document)))
        assert report.baseline is not None
        assert any("has no drop: it is known however bad it is" in remark for remark in report.baseline.remarks)

    def test_a_byte_order_mark_of_an_editor_is_no_matter(self, tmp_path: Path) -> None:
        file = tmp_path / "b.json"
        file.write_bytes(b"\xef\xbb\xbf" + render_baseline(baseline_of(SICK)).encode())
        assert len(read_baseline(str(file)).findings) == 1

    def test_a_newer_major_version_is_refused(self, tmp_path: Path) -> None:
        document = {**json.loads(render_baseline(baseline_of(SICK))), "schema_version": "2.0"}
        with pytest.raises(GradcheckError) as caught:
            read_baseline(written(tmp_path, json.dumps(document)))
        assert caught.value.id == "E684"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "null",
            "[]",
            "{",
            "\x00",
            "[" * 9999,
            '{"findings": 3}',
            '{"findings": [3], "schema_version": "1.0"}',
            '{"findings": [{}], "schema_version": "1.0"}',
            '{"findings": [], "targets": 3, "schema_version": "1.0"}',
            '{"findings": [], "targets": [{"target": 3}], "schema_version": "1.0"}',
        ],
    )
    def test_what_is_no_baseline_is_e683(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(GradcheckError) as caught:
            read_baseline(written(tmp_path, text))
        assert caught.value.id in ("E683", "E684")
        assert len(caught.value.why.splitlines()) == 1

    def test_a_missing_file_says_how_to_make_one(self, tmp_path: Path) -> None:
        with pytest.raises(GradcheckError) as caught:
            read_baseline(str(tmp_path / "none.json"))
        assert (caught.value.id, caught.value.why) == ("E683", "No such file or directory")
        assert "gradcheck baseline write" in caught.value.do

    @given(
        st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
    )
    def test_no_document_raises_anything_else(self, tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
        file = tmp_path_factory.getbasetemp() / "wild.json"
        file.write_text(json.dumps({"schema_version": "1.0", "findings": [value], "targets": value}), "utf-8")
        with contextlib.suppress(GradcheckError):
            assert all(isinstance(entry.layer, str) for entry in read_baseline(str(file)).findings)


def test_fingerprints_hold_neither_numbers_nor_lines_nor_messages() -> None:
    one = gated(SICK).findings[0]
    other = gated(dataclasses.replace(chain(0.05, 8))).findings[0]
    assert one.message != other.message
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != gated(SICK, identity="other.py").findings[0].fingerprint
    assert Settings(target="x").identity == ""
