"""How `benchmarks/remedies.py` counts: what is cured at once, what at all, what could not be tried, which cures are false."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from cures import Trained, Treated, Tried
from remedies import Job, Run, report, tally

RELU, CLIP = Tried("ReLU", "cured", ""), Tried("Clip", "no effect", "")


def _treated(
    code: str = "GC101", first: Tried | None = RELU, cure: str = "ReLU", redrawn: tuple[str, ...] = ("", "")
) -> Treated:
    return Treated("net", 0, code, "net.0", first, cure, bool(cure), (first,) if first else (), ("advice: by hand",), redrawn)


def _run(*treated: Treated, part: str = "zoo", trained: Trained | None = None, error: str = "") -> Run:
    return Run(Job(part, "net", "made-up", 0), treated, trained, 0.1, error)


def _trained(sgd: bool, adam: bool, *, cure: str = "ReLU", lowest: float = 0.4, before: tuple[bool, bool] = (False, False)):
    names = ("SGD", "Adam")
    return Trained(
        "net", cure, ("GC101",), dict(zip(names, before, strict=True)), dict(zip(names, (sgd, adam), strict=True)), lowest
    )


def test_cured_at_once_and_at_all() -> None:
    t = tally([_run(_treated(), _treated(first=CLIP)), _run(_treated(first=CLIP, cure="", redrawn=()), _treated())])
    assert (t.first(t.zoo), t.any(t.zoo)) == (0.5, 0.75)
    text = "\n".join(report(t))
    assert "| **sick families** | 4 | 50.0% | 75.0% |" in text
    assert "- GC101: Clip (no effect), cured by nothing: 1 times" in text


def test_what_could_not_be_tried_is_listed_and_not_counted() -> None:
    t = tally([_run(_treated()), _run(_treated(code="GC405", first=None, cure="", redrawn=()))])
    assert t.any(t.zoo) == 1.0
    assert "- net (seed 0, zoo): GC405 `net.0`: advice: by hand" in report(t)


def test_findings_on_the_grid_do_not_count_for_the_families() -> None:
    t = tally([_run(_treated()), _run(_treated(cure="", redrawn=()), part="grid", trained=_trained(False, False, cure=""))])
    assert t.any(t.zoo) == 1.0
    assert t.success("either") == 0.0


@pytest.mark.parametrize(
    ("after", "before", "either", "sgd"),
    [
        ((True, True), (False, False), 1.0, 1.0),
        ((False, True), (False, False), 1.0, 0.0),
        ((False, True), (False, True), None, 0.0),
        ((False, False), (False, False), 0.0, 0.0),
    ],
)
def test_full_training_counts_for_networks_that_did_not_train(after, before, either, sgd) -> None:
    t = tally([_run(_treated(), part="grid", trained=_trained(*after, before=before))])
    assert t.success("SGD") == sgd
    if either is None:
        assert t.untrained("either") == []
    else:
        assert t.success("either") == either


def test_a_cure_is_false_when_the_finding_is_back_or_nothing_is_learnt() -> None:
    t = tally(
        [_run(_treated(redrawn=("", "error `net.0` again"))), _run(part="grid", trained=_trained(False, False, lowest=0.97))]
    )
    assert t.false == pytest.approx(2 / 3)
    assert tally([_run(_treated()), _run(part="grid", trained=_trained(False, False, lowest=0.9))]).false == 0.0


def test_a_scan_without_a_verdict_is_listed() -> None:
    assert "- net (seed 0): ValueError: no" in report(tally([_run(error="ValueError: no")]))
