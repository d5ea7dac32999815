"""What a trial proves: the finding's number before and after, new findings, and how the copies trained."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck_cli.diagnosis import Diagnosis
from gradcheck_cli.records import SEVERITIES, Finding, Outcome, TrainingProbe
from gradcheck_cli.rules.root_causes import layers_of
from gradcheck_cli.trials.comparison import falls

# Share of the excess over the limit that must go (or come) for a trial to count as improved (or worse): chosen by us.
NOTABLE = 0.1


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit did to the findings: is the treated one gone, which are new, which others are gone too."""

    gone: bool
    new: tuple[Finding, ...]
    also: tuple[Finding, ...]


def change_of(finding: Finding, before: Diagnosis, after: Diagnosis) -> Change:
    """Compare the findings before and after an edit; notes do not count, they are what a second look excused."""
    was, now = _grave(before), _grave(after)
    others = [f for f in was if f is not finding]
    return Change(
        gone=not any(_same(finding, f, was) for f in now),
        new=tuple(f for f in now if not any(_same(w, f, was) and _as_grave(w, f) for w in was)),
        also=tuple(f for f in others if not any(_same(f, other, was) for other in now)),
    )


def judge_trial(change: Change, improvement: float, *, loop_only: bool, training: TrainingProbe | None) -> tuple[Outcome, str]:
    """Return the outcome and, where the numbers alone do not explain it, the reason.

    `improvement` is the share of the excess over the limit that is gone. Changes of the training loop that leave the
    measured number as it is are judged by training alone, and never called a cure of what they do not touch.
    """
    if loop_only and not change.gone:
        return _judge_loop(training)
    if change.gone and not change.new:
        return _judge_cure(training)
    if change.gone:
        return "improved", f"raises {named(change.new)}"
    if improvement < -NOTABLE:
        return "worse", ""
    if improvement <= NOTABLE:
        return "no effect", ""
    return ("no effect", f"raises {named(change.new)}") if change.new else ("improved", "")


def named(findings: Sequence[Finding]) -> str:
    """Write findings for a reason: `GC204 forward-growth, GC301 odd-scale`."""
    return ", ".join(dict.fromkeys(f"{f.code} {f.name}" for f in findings))


def _judge_cure(training: TrainingProbe | None) -> tuple[Outcome, str]:
    if training is None:
        return "cured", ""
    if training.verdict == "diverged":
        return "worse", "the loss diverges"
    if not falls(training.edited) and training.verdict != "better":
        return "improved", f"the loss does not fall within {training.steps} steps"
    if training.verdict != "worse":
        return "cured", ""
    if training.comparable and statistics.median(training.edited.end) > statistics.median(training.original.start):
        return "improved", "the loss stays above the one that the original starts with"
    return "cured", f"the original's loss is lower after {training.steps} steps"


def _judge_loop(training: TrainingProbe | None) -> tuple[Outcome, str]:
    if training is None:
        return "no effect", ""
    if training.verdict == "better":
        return "improved", "training copes with the cause, which stays"
    return ("no effect", "") if training.verdict == "alike" else ("worse", "")


def _grave(diagnosis: Diagnosis) -> list[Finding]:
    return [f for f in diagnosis.findings if f.grave]


def _same(one: Finding, other: Finding, was: Sequence[Finding]) -> bool:
    """Say whether two findings are the same disease at the same place.

    Where the original has one finding of this code only, the place does not matter: an edit moves the worst layer.
    """
    if (one.code, one.objective) != (other.code, other.objective):
        return False
    if sum(f.code == one.code and f.objective == one.objective for f in was) == 1:
        return True
    here, there = layers_of(one), layers_of(other)
    return not here or not there or bool(here & there)


def _as_grave(was: Finding, now: Finding) -> bool:
    return SEVERITIES.index(was.severity) <= SEVERITIES.index(now.severity)
