import dataclasses

import pytest
from gated import chain, comment, dead, gated

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.gate.suppression import settle
from gradcheck_cli.records import Failure, Report, Scan
from gradcheck_cli.settings import LayerIgnore

SICK = chain(0.1, 8)
HEALTHY = chain(1.0, 8)


def codes(report: Report) -> list[str]:
    return [f.code for f in report.findings]


def accepted(report: Report) -> list[tuple[str, str, str]]:
    return [(s.finding.code, s.by, s.selector) for s in report.suppressed]


def test_without_a_word_everything_counts() -> None:
    report = gated(SICK, dead("net.3", 13))
    assert codes(report) == ["GC101", "GC201"]
    assert report.suppressed == ()
    assert len({f.fingerprint for f in report.findings}) == 2


@pytest.mark.parametrize("selector", ["GC201", "gc201", "GC2", "dead-units", "Dead-Units"])
def test_a_comment_accepts_what_it_names_on_its_own_line(selector: str) -> None:
    report = gated(SICK, dead("net.3", 13), comments=(comment(13, selector, reason="pruned on purpose"),))
    assert codes(report) == ["GC101"]
    assert accepted(report) == [("GC201", "comment", selector)]
    assert report.suppressed[0].reason == "pruned on purpose"
    assert report.suppressed[0].site is not None
    assert report.suppressed[0].site.line == 13


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (comment(14, "GC201"), "the comment ignores `GC201` for nothing: nothing of the kind was found on its line"),
        (comment(13, "GC202"), "the comment ignores `GC202` for nothing: nothing of the kind was found on its line"),
        (
            comment(13, "dead-unit"),
            "the comment ignores `dead-unit` for nothing: no rule is called so; did you mean 'dead-units'?",
        ),
        (comment(13), "the comment ignores nothing: it names no rule; write `# gradcheck: ignore[GC101] reason`"),
        (comment(13, "G"), "the comment ignores nothing: it names no rule; write `# gradcheck: ignore[GC101] reason`"),
        (comment(13, "ALL"), "the comment ignores nothing: it names no rule; write `# gradcheck: ignore[GC101] reason`"),
    ],
)
def test_a_comment_that_accepts_nothing_is_a_finding_and_hides_nothing(given, why: str) -> None:
    report = gated(SICK, dead("net.3", 13), comments=(given,))
    assert codes(report) == ["GC101", "GC201", "GC901"]
    unused = report.findings[-1]
    assert unused.message.startswith(why)
    assert unused.severity == "warning"
    assert unused.site is not None
    assert (unused.site.file, unused.site.line) == ("model.py", given.line)


def test_of_two_names_in_one_comment_each_is_judged() -> None:
    report = gated(HEALTHY, dead("net.3", 13), comments=(comment(13, "GC201", "GC203"),))
    assert accepted(report) == [("GC201", "comment", "GC201")]
    assert [f.facts["selector"] for f in report.findings] == ["GC203"]


def test_a_finding_without_a_line_belongs_to_the_line_of_what_holds_it() -> None:
    """An operation of a functional model is built nowhere: its module is."""
    report = gated(HEALTHY, dead("net.3/relu"), comments=(comment(13, "GC201"),))
    assert codes(report) == []


@pytest.mark.parametrize("pattern", ["net.3", "net.*", "*", "n*3", "net.[0-9]"])
def test_a_setting_accepts_by_the_layers_name(pattern: str) -> None:
    ignore = LayerIgnore(pattern=pattern, selectors=("GC201",), file="pyproject.toml", line=4)
    report = gated(HEALTHY, dead("net.3"), per_layer_ignores=(ignore,))
    assert accepted(report) == [("GC201", "setting", "GC201")]
    assert codes(report) == []
    assert codes(gated(HEALTHY, dead("net.3/relu#2"), per_layer_ignores=(ignore,))) == []


@pytest.mark.parametrize(("pattern", "left"), [("(model)", []), ("*", []), ("net.*", ["GC602", "GC901"])])
def test_what_is_about_the_whole_model_is_named_as_reports_name_it(pattern: str, left: list[str]) -> None:
    ignore = LayerIgnore(pattern=pattern, selectors=("GC602",), file="pyproject.toml", line=4)
    finding = dataclasses.replace(dead(""), code="GC602", name="initial-loss")
    assert codes(gated(HEALTHY, finding, per_layer_ignores=(ignore,))) == left


def test_a_setting_for_another_layer_or_rule_is_unused_at_its_own_line() -> None:
    ignore = LayerIgnore(pattern="encoder.*", selectors=("GC201", "ALL"), file="pyproject.toml", line=4)
    report = gated(HEALTHY, dead("net.3"), per_layer_ignores=(ignore,))
    assert codes(report) == ["GC201", "GC901", "GC901"]
    assert report.findings[1].message.endswith("nothing of the kind was found on a layer called `encoder.*`")
    assert report.findings[1].site is not None
    assert (report.findings[1].site.file, report.findings[1].site.line) == ("pyproject.toml", 4)


def test_a_setting_may_mute_every_rule_for_a_layer() -> None:
    ignore = LayerIgnore(pattern="net.3", selectors=("ALL",), file="pyproject.toml", line=4)
    assert codes(gated(HEALTHY, dead("net.3"), per_layer_ignores=(ignore,))) == []


def test_a_setting_that_names_no_rule_is_an_error_with_the_line_and_the_nearest() -> None:
    ignore = LayerIgnore(pattern="net.3", selectors=("dead-unit",), file="pyproject.toml", line=4)
    with pytest.raises(GradcheckError) as caught:
        gated(HEALTHY, per_layer_ignores=(ignore,))
    assert (caught.value.id, caught.value.where) == ("E678", "pyproject.toml:4")
    assert caught.value.do == "did you mean 'dead-units'?"


@pytest.mark.parametrize("options", [{"select": ("GC1",)}, {"ignore": ("GC9",)}, {"ignore": ("unused-suppression",)}])
def test_a_suppression_of_what_was_not_asked_and_gc901_itself_can_be_left_out(options: dict[str, object]) -> None:
    report = gated(HEALTHY, comments=(comment(13, "GC201"),), **options)
    assert codes(report) == []


def test_the_severity_of_gc901_can_be_set_and_puts_it_in_its_place() -> None:
    rules = {"GC901": {"severity": "error"}}
    report = gated(chain(0.45, 12), comments=(comment(13, "GC201"),), rules=rules)
    assert [f.severity for f in report.findings] == sorted(
        (f.severity for f in report.findings), key=["error", "warning"].index
    )
    assert report.findings[0].code in ("GC101", "GC901")
    assert any(f.code == "GC901" and f.severity == "error" for f in report.findings)


def test_suppressing_a_root_cause_does_not_bring_its_victims_back() -> None:
    """They are explained, accepted or not."""
    whole = gated(SICK)
    assert any(label == "also" for label, _ in whole.findings[0].details) or len(whole.findings) == 1
    line = whole.findings[0].site
    assert line is not None
    assert codes(gated(SICK, comments=(comment(line.line, "GC101"),))) == []


class TestSettle:
    UNUSED = gated(HEALTHY, comments=(comment(13, "GC201"),))
    USED = gated(HEALTHY, dead("net.3", 13), comments=(comment(13, "GC201"),))

    def findings(self, *reports: Report | None) -> list[list[str]]:
        failure = Failure(id="E101", what="", why="", do="", where=None)
        scans = [Scan(target="x", report=r, error=None if r else failure) for r in reports]
        return [codes(scan.report) if scan.report else ["none"] for scan in settle(scans)]

    def test_a_suppression_that_another_target_needs_is_none_too_many(self) -> None:
        assert self.findings(self.UNUSED, self.USED) == [[], []]
        assert self.findings(self.USED, self.UNUSED) == [[], []]

    def test_two_patterns_on_one_line_of_the_settings_are_told_apart(self) -> None:
        ignores = tuple(
            LayerIgnore(pattern=p, selectors=("GC201",), file="pyproject.toml", line=4) for p in ("net.3", "a*", "b*")
        )
        report = gated(HEALTHY, dead("net.3"), per_layer_ignores=ignores)
        assert self.findings(report) == [["GC901", "GC901"]]

    def test_one_that_none_needs_is_told_once(self) -> None:
        assert self.findings(self.UNUSED, self.UNUSED) == [["GC901"], []]

    def test_where_a_target_has_no_verdict_nobody_knows(self) -> None:
        assert self.findings(self.UNUSED, None) == [[], ["none"]]

    def test_other_findings_stay(self) -> None:
        sick = dataclasses.replace(self.UNUSED, findings=(dead("net.1"), *self.UNUSED.findings))
        assert self.findings(sick, self.USED) == [["GC201"], []]
