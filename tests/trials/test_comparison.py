"""Short training runs compared."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck_cli.records import TrainingRuns
from gradcheck_cli.trials.comparison import compare, diverged, falls, runs_of


def runs(*ends: float, start: float = 2.3) -> TrainingRuns:
    return TrainingRuns(start=(start,) * len(ends), end=ends)


STUCK = runs(2.30, 2.30, 2.31)


@pytest.mark.parametrize(
    ("original", "edited", "verdict"),
    [
        (STUCK, runs(0.8, 0.9, 0.7), "better"),
        (STUCK, runs(2.29, 2.30, 2.31), "alike"),
        (STUCK, runs(2.0, 2.2, 2.9), "alike"),  # better in the median, by less than its own spread
        (runs(0.8, 0.9, 0.7), STUCK, "worse"),
        (STUCK, runs(0.8, math.nan, 0.7), "diverged"),
        (STUCK, runs(0.8, 0.8, 40.0), "diverged"),
        (runs(math.inf, math.inf, math.inf), STUCK, "better"),
        (runs(math.nan, 1.0, 1.0), runs(math.nan, 1.0, 1.0), "diverged"),
    ],
)
def test_verdict(original: TrainingRuns, edited: TrainingRuns, verdict: str) -> None:
    assert compare(original, edited, optimizer="Adam", comparable=True).verdict == verdict


def test_losses_of_other_units_compare_by_their_fall() -> None:
    """1,000,000 → 900,000 against 1.0 → 0.2: the second falls more, though its unit says nothing."""
    original, edited = runs(9e5, 9e5, 9e5, start=1e6), runs(0.2, 0.2, 0.25, start=1.0)
    assert compare(original, edited, optimizer="", comparable=False).verdict == "better"
    assert compare(edited, original, optimizer="", comparable=False).verdict == "worse"


@given(st.lists(st.floats(0.1, 10), min_size=3, max_size=3), st.floats(1e-6, 1e6))
def test_the_unit_of_the_loss_changes_no_verdict(ends: list[float], unit: float) -> None:
    plain = compare(STUCK, runs(*ends), optimizer="", comparable=True)
    scaled = [
        TrainingRuns(start=tuple(unit * s for s in r.start), end=tuple(unit * e for e in r.end)) for r in (STUCK, runs(*ends))
    ]
    change = sorted(ends)[1] - 2.30
    margin = max((max(ends) - min(ends)) / 2, 0.02 * 2.3)
    if abs(abs(change) - margin) > 1e-6:  # not where rounding decides
        assert compare(*scaled, optimizer="", comparable=True).verdict == plain.verdict


def test_ends_of_a_run() -> None:
    """The start is the loss before any step; the end is the mean of the last tenth."""
    losses = [10.0, *[5.0] * 27, 3.0, 2.0, 1.0]
    assert runs_of([losses]) == TrainingRuns(start=(10.0,), end=(2.0,))


def test_falling_and_diverging() -> None:
    assert falls(runs(2.0, 2.0, 2.3))
    assert not falls(runs(2.29, 2.0, 2.3))
    assert not diverged(runs(4.5, 2.3, 2.3))
    assert diverged(runs(4.7, 2.3, 2.3))
    assert diverged(runs(-1.0, -1.0, math.inf, start=-2.0))
    assert falls(runs(-2.5, -2.5, -2.5, start=-2.0))
