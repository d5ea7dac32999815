"""A short training run of original and edited copies: same batches in the same order, same seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from gradcheck_cli.records import TrainingProbe, TrainingRuns

# All of these are chosen by us.
STEPS = 30
LONGER = 120  # steps where the shorter run does not tell: a plateau that the original never leaves looks good at first
SEEDS = 3
NOTICEABLE = 0.02  # share of the starting loss from which on a difference counts
_DIVERGED = 2.0  # times the loss at the start


def runs_of(losses: Sequence[Sequence[float]]) -> TrainingRuns:
    """Reduce the losses of each run (before every step, then after the last) to its two ends.

    The loss at the end is the mean of the last tenth, so that one lucky mini-batch decides nothing.
    """
    return TrainingRuns(
        start=tuple(float(run[0]) for run in losses),
        end=tuple(statistics.fmean(run[-max(1, len(run) // 10) :]) for run in losses),
    )


def compare(
    original: TrainingRuns, edited: TrainingRuns, *, steps: int = STEPS, optimizer: str, comparable: bool
) -> TrainingProbe:
    """Say how the edited copies trained beside the original.

    "diverged": a run is not finite, or ends far above its start. Else the medians over the seeds are compared, as losses
    where both have the same unit and as falls relative to the start where they have not; a difference counts that
    exceeds the spread over the seeds and NOTICEABLE.
    """
    return TrainingProbe(
        steps=steps,
        optimizer=optimizer,
        original=original,
        edited=edited,
        comparable=comparable,
        verdict=_verdict(original, edited, comparable=comparable),
    )


def falls(runs: TrainingRuns) -> bool:
    """Say whether the loss falls noticeably in most runs."""
    clear = [end < start - NOTICEABLE * abs(start) for start, end in zip(runs.start, runs.end, strict=True)]
    return 2 * sum(clear) > len(clear)


def diverged(runs: TrainingRuns) -> bool:
    """Say whether any run left the finite numbers or ended far above its start."""
    return any(
        not math.isfinite(end) or end > start + (_DIVERGED - 1.0) * abs(start)
        for start, end in zip(runs.start, runs.end, strict=True)
    )


def _verdict(
    original: TrainingRuns, edited: TrainingRuns, *, comparable: bool
) -> Literal["better", "alike", "worse", "diverged"]:
    if diverged(edited):
        return "diverged"
    if diverged(original):
        return "better"
    before, after = (_measured(runs, comparable=comparable) for runs in (original, edited))
    unit = min(statistics.median(map(abs, runs.start)) for runs in (original, edited)) if comparable else 1.0
    margin = max(_spread(before), _spread(after), NOTICEABLE * unit)
    change = statistics.median(after) - statistics.median(before)
    return "better" if change < -margin else "worse" if change > margin else "alike"


def _measured(runs: TrainingRuns, *, comparable: bool) -> list[float]:
    """Return what is compared, smaller being better: the losses at the end, or their share of those at the start."""
    if comparable:
        return list(runs.end)
    return [end / start if start else 1.0 for start, end in zip(runs.start, runs.end, strict=True)]


def _spread(values: Sequence[float]) -> float:
    return (max(values) - min(values)) / 2
