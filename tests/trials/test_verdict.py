"""What a trial proves."""

import pytest

from gradcheck_cli.diagnosis import Diagnosis
from gradcheck_cli.records import Finding, Severity, TrainingProbe, TrainingRuns
from gradcheck_cli.trials.comparison import compare
from gradcheck_cli.trials.verdict import change_of, judge_trial


def found(code: str, layer: str = "", severity: Severity = "error", *, objective: str = "loss") -> Finding:
    return Finding(code=code, name="named", severity=severity, layer=layer, message="", objective=objective)


def seen(*findings: Finding) -> Diagnosis:
    return Diagnosis((), findings)


def trained(original: float, edited: float, start: float = 2.3) -> TrainingProbe:
    runs = [TrainingRuns(start=(start,) * 3, end=(end,) * 3) for end in (original, edited)]
    return compare(*runs, optimizer="Adam", comparable=True)


BETTER, FLAT, DIVERGED = trained(2.3, 0.8), trained(2.3, 2.3), trained(2.3, float("nan"))
FAR_WORSE = compare(
    TrainingRuns(start=(200.0,) * 3, end=(170.0,) * 3),
    TrainingRuns(start=(9e4,) * 3, end=(1.2e4,) * 3),
    optimizer="",
    comparable=True,
)
SICK = found("GC101", "net.0")


@pytest.mark.parametrize(
    ("after", "gone", "new"),
    [
        ((), True, []),
        ((found("GC101", "net.0"),), False, []),
        ((found("GC101", "net.4"),), False, []),  # the only one of its code: an edit may move the worst layer
        ((found("GC101", "net.0", "note"),), True, []),  # a note is what a second look has excused
        ((found("GC204", "net.9"),), True, ["GC204"]),
        ((found("GC204", "net.9", "note"),), True, []),
        ((found("GC101", "net.0"), found("GC301", "net.2", "warning")), False, ["GC301"]),
    ],
)
def test_gone_and_new(after: tuple[Finding, ...], gone: bool, new: list[str]) -> None:
    change = change_of(SICK, seen(SICK), seen(*after))
    assert (change.gone, [f.code for f in change.new]) == (gone, new)


def test_of_several_findings_of_one_code_each_keeps_its_place() -> None:
    first, second = found("GC201", "a"), found("GC201", "b")
    change = change_of(first, seen(first, second), seen(second))
    assert change.gone
    assert change.new == ()
    assert not change_of(second, seen(first, second), seen(second)).gone


def test_other_findings_that_are_gone_too_are_named_and_graver_ones_are_new() -> None:
    other, mild = found("GC301", "net.2"), found("GC202", "net.3", "warning")
    change = change_of(SICK, seen(SICK, other, mild), seen(found("GC202", "net.3", "error")))
    assert [f.code for f in change.also] == ["GC301"]
    assert [f.code for f in change.new] == ["GC202"]


def test_the_same_code_under_another_loss_is_another_disease() -> None:
    generator = found("GC101", "net.0", objective="generator")
    change = change_of(SICK, seen(SICK), seen(generator))
    assert change.gone
    assert [f.objective for f in change.new] == ["generator"]


CURED, RELAPSED = change_of(SICK, seen(SICK), seen()), change_of(SICK, seen(SICK), seen(found("GC204")))
STILL = change_of(SICK, seen(SICK), seen(SICK))


@pytest.mark.parametrize(
    ("change", "improvement", "loop_only", "training", "outcome", "reason"),
    [
        (CURED, 1.0, False, BETTER, "cured", ""),
        (CURED, 1.0, False, trained(0.8, 0.8), "cured", ""),  # the original trains as well: nothing speaks against it
        (CURED, 1.0, False, None, "cured", ""),
        (CURED, 1.0, False, FLAT, "improved", "the loss does not fall within 30 steps"),
        (CURED, 1.0, False, DIVERGED, "worse", "the loss diverges"),
        (CURED, 1.0, False, trained(0.8, 1.2), "cured", "the original's loss is lower after 30 steps"),
        (CURED, 1.0, False, FAR_WORSE, "improved", "the loss stays above the one that the original starts with"),
        (RELAPSED, 1.0, False, None, "improved", "raises GC204 named"),
        (STILL, 0.6, False, None, "improved", ""),
        (STILL, 0.05, False, None, "no effect", ""),
        (STILL, -0.05, False, None, "no effect", ""),
        (STILL, -0.5, False, None, "worse", ""),
        (STILL, 0.0, True, BETTER, "improved", "training copes with the cause, which stays"),
        (STILL, 0.0, True, FLAT, "no effect", ""),
        (STILL, 0.0, True, DIVERGED, "worse", ""),
        (STILL, 0.0, True, None, "no effect", ""),
        (CURED, 1.0, True, BETTER, "cured", ""),  # a learning rate is a cure of a step size
    ],
)
def test_outcome(change, improvement, loop_only, training, outcome, reason) -> None:  # type: ignore[no-untyped-def]
    assert judge_trial(change, improvement, loop_only=loop_only, training=training) == (outcome, reason)
