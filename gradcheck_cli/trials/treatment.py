"""Treat one finding: single remedies in order, what cured others, then the best ones combined."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

from gradcheck_cli import phase
from gradcheck_cli.diagnosis import Diagnosis
from gradcheck_cli.records import OUTCOMES, Finding, Outcome, Prescription, TrainingProbe, Trial
from gradcheck_cli.rules.effect import improvement, measure_effect
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.attempts import Attempts
from gradcheck_cli.trials.comparison import LONGER, SEEDS, STEPS, diverged
from gradcheck_cli.trials.deadline import Deadline, OutOfTime
from gradcheck_cli.trials.verdict import NOTABLE, change_of, judge_trial

LARGEST = 3  # remedies in a combination
PARTNERS = 3  # that are tried beside the best so far
_UPON = {"scale_weights", "bias", "open_gate"}  # edits of weights as they are: lost if these are drawn anew afterwards
_TRAINING_VERDICTS = ("better", "alike", "worse", "diverged")


class Treatment:
    """The trials for one finding, within one share of the time budget."""

    def __init__(
        self, attempts: Attempts, finding: Finding, settings: Settings, deadline: Deadline, counted: tuple[int, int] = (0, 1)
    ) -> None:
        self._attempts, self._finding, self._settings, self._deadline = attempts, finding, settings, deadline
        self._before, self._of = counted  # suggestions for earlier findings, and for all of them
        self._mine = 0
        self._trials: list[Trial] = []
        self._gains: dict[tuple[str, ...], float] = {}  # share of the excess that a trial's remedies removed
        self._cure: tuple[Prescription, ...] | None = None

    def run(self, prescriptions: Sequence[Prescription], cures: Sequence[Sequence[Prescription]]) -> None:
        """Try until something cures, or all: first what cured other findings of this model, which costs next to nothing."""
        triable = [p for p in prescriptions if p.edits]
        self._mine = len(triable)
        known = {cure[0].remedy for cure in cures if len(cure) == 1}
        candidates = [*cures, *((p,) for p in triable if p.remedy not in known)]
        with contextlib.suppress(OutOfTime), self._deadline.kept():
            for parts in candidates:
                trial = self._try(parts)
                if trial.outcome == "cured" and not self._settings.try_all:
                    self._try_to_protect(triable, trial)
                    return
            if self._cure:
                return
            self._combine([*triable, *(cure[0] for cure in cures if len(cure) == 1)])
            self._train_improved()

    def _try_to_protect(self, triable: Sequence[Prescription], cured: Trial) -> None:
        """Where the original diverges in training, see beside the cure what keeps it from doing so: clipping, a lower rate."""
        if cured.training is not None and diverged(cured.training.original):
            tried = {t.remedies for t in self._trials}
            for each in triable:
                if each.cost == "training loop" and (each.remedy,) not in tried:
                    self._try((each,))

    @property
    def cure(self) -> tuple[Prescription, ...] | None:
        """The remedies that cured first, alone or together; None while nothing has."""
        return self._cure

    def best_first(self) -> list[Trial]:
        """Return the trials: by outcome, then by how the copies trained, then in the order in which they were tried."""
        return sorted(self._trials, key=_rank)

    def stated(self, prescription: Prescription) -> Prescription:
        """Return the prescription with whether it was tried alone, or why not."""
        if any(t.remedies == (prescription.remedy,) for t in self._trials):
            return dataclasses.replace(prescription, status="tried", reason="")
        if prescription.reason or not prescription.edits:
            return prescription
        cured = any(t.outcome == "cured" for t in self._trials)
        reason = "another cure was found first" if cured else budget_spent(self._settings)
        return dataclasses.replace(prescription, reason=reason)

    def _try(self, parts: Sequence[Prescription]) -> Trial:
        """Make the edits of all parts, measure the finding's number again, and train where that decides."""
        title = " + ".join(p.title for p in parts)
        done = self._before + min(len(self._trials), self._mine)  # combinations come on top
        with phase.part(f"trying `{title}`", done=done, of=self._of):
            return self._made(parts, title)

    def _made(self, parts: Sequence[Prescription], title: str) -> Trial:
        edits = tuple(edit for p in parts for edit in p.edits)
        trial = Trial(
            remedies=tuple(p.remedy for p in parts),
            title=title,
            code=self._finding.code,
            layer=self._finding.layer,
            objective=self._finding.objective,
            edits=edits,
            outcome="not applied",
        )
        self._deadline.check()
        after = self._attempts.diagnosis(edits, self._finding.objective)
        if isinstance(after, str):
            trial = dataclasses.replace(trial, reason=after)
        else:
            trial = self._measured(trial, after, loop_only=all(p.cost == "training loop" for p in parts))
        self._trials.append(trial)
        if trial.outcome == "cured" and self._cure is None:
            self._cure = tuple(parts)
        return trial

    def _measured(self, trial: Trial, after: Diagnosis, *, loop_only: bool) -> Trial:
        before = self._attempts.before
        change = change_of(self._finding, before, after)
        effect = measure_effect(self._finding, before.profiles, after.profiles, self._settings)
        gain = improvement(effect)
        self._gains[trial.remedies] = gain
        training, remark = None, ""
        outcome: Outcome = "improved"
        clean = change.gone and not change.new
        reason = self._relapse(trial, after) if clean else ""
        if not reason:
            if loop_only or clean:
                training, remark = self._train(trial)
            outcome, reason = judge_trial(change, gain, loop_only=loop_only, training=training)
        return dataclasses.replace(
            trial,
            outcome=outcome,
            effect=effect,
            new_findings=tuple(dict.fromkeys(f"{f.code} {f.name}" for f in change.new)),
            also_cures=tuple(dict.fromkeys(f"{f.code} {f.name}" for f in change.also)),
            training=training,
            reason="; ".join(r for r in (reason, remark) if r),
        )

    def _relapse(self, trial: Trial, first: Diagnosis) -> str:
        """Say how often other random draws of the same edits do not cure; "" if none fails, or nothing is random."""
        failed = 0
        for draw in range(1, SEEDS):
            after = self._attempts.diagnosis(trial.edits, self._finding.objective, draw)
            if isinstance(after, Diagnosis) and after.profiles == first.profiles:
                return ""
            change = change_of(self._finding, self._attempts.before, after) if isinstance(after, Diagnosis) else None
            failed += change is None or not change.gone or bool(change.new)
        return f"{failed} of {SEEDS} random draws do not cure" if failed else ""

    def _train(self, trial: Trial) -> tuple[TrainingProbe | None, str]:
        """Return the training probe, or why there is none; a longer one where the short one shows no gain and time allows."""
        probe: TrainingProbe | None = None
        for steps, limit in ((STEPS, self._deadline), (LONGER, Deadline(self._deadline.left / 2))):
            try:
                told = self._attempts.training(trial.edits, self._finding.objective, steps, limit)
            except OutOfTime:
                break
            if isinstance(told, str):
                return None, f"not trained: {told}"
            probe = told
            if probe.verdict == "better":
                break
        slow = f"not trained: {STEPS} steps from {SEEDS} seeds take longer than is left of the time budget"
        return probe, "" if probe else slow

    def _combine(self, triable: Sequence[Prescription]) -> None:
        """Add to the best remedy the one that helps it most, while the number improves and nothing cures."""
        by_id = {p.remedy: p for p in triable}
        singles = sorted((t for t in self._trials if self._helped(t)), key=lambda t: -self._gains[t.remedies])
        best = singles[0] if singles else None
        while best is not None and len(best.remedies) < LARGEST:
            base = [by_id[r] for r in best.remedies]
            partners = [
                by_id[t.remedies[0]] for t in singles if not _kinds(by_id[t.remedies[0]]) & set().union(*map(_kinds, base))
            ]
            tried = []
            for partner in partners[:PARTNERS]:
                parts = sorted([*base, partner], key=lambda p: (bool(_kinds(p) & _UPON), triable.index(p)))
                tried.append(self._try(parts))
                if tried[-1].outcome == "cured":
                    return
            better = [t for t in tried if self._helped(t) and self._gains[t.remedies] > self._gains[best.remedies] + NOTABLE]
            best = max(better, key=lambda t: self._gains[t.remedies], default=None)

    def _helped(self, trial: Trial) -> bool:
        return trial.outcome == "improved" and trial.remedies in self._gains

    def _train_improved(self) -> None:
        """Show for the best that did not cure how it trains; without a cure that is what a person chooses by."""
        improved = [t for t in self.best_first() if t.outcome == "improved" and t.training is None]
        for trial in sorted(improved, key=lambda t: -self._gains[t.remedies])[:1]:
            training, remark = self._train(trial)
            outcome = "worse" if training is not None and training.verdict == "diverged" else trial.outcome
            reason = "; ".join(r for r in (trial.reason, remark) if r)
            self._trials[self._trials.index(trial)] = dataclasses.replace(
                trial, training=training, outcome=outcome, reason=reason
            )


def budget_spent(settings: Settings) -> str:
    """Say why what was left to try was not tried."""
    return f"the time budget of {settings.try_budget:g} s is used up"


def _kinds(prescription: Prescription) -> set[str]:
    """Return what a remedy edits; two that edit the same would undo each other."""
    return {edit.kind for edit in prescription.edits}


def _rank(trial: Trial) -> tuple[int, int]:
    training = _TRAINING_VERDICTS.index(trial.training.verdict) if trial.training else len(_TRAINING_VERDICTS)
    return OUTCOMES.index(trial.outcome), training
