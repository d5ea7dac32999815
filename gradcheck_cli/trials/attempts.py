"""Make edits on a fresh copy, then measure or train it; each combination once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gradcheck_cli.diagnosis import Diagnosis, diagnose
from gradcheck_cli.errors import GradcheckError, brief
from gradcheck_cli.loading.base import Subject
from gradcheck_cli.records import Edit, TrainingProbe, TrainingRuns, to_dict
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.base import Loop, NotApplicable, Setup, apply
from gradcheck_cli.trials.comparison import SEEDS, compare, runs_of
from gradcheck_cli.trials.deadline import Deadline
from gradcheck_cli.trials.training import describe, loop_of, train
from gradcheck_cli.trials.workbench import Workbench

_ALIKE = 2  # optimizer steps after which two runs from different seeds tell whether anything is random
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Trained:
    runs: TrainingRuns
    loop: Loop
    new_loss_scale: bool


class Attempts:
    """What edits do to a subject: its diagnosis afterwards, and a training run beside the original's.

    Both are remembered, since the same edit may answer several findings.
    """

    def __init__(self, subject: Subject, before: Diagnosis, settings: Settings) -> None:
        self.before = before
        self._subject, self._settings = subject, settings
        self._bench = Workbench(subject, settings.seed)
        self._seen: dict[str, Diagnosis | str] = {}
        self._trained: dict[str, _Trained | str] = {}

    @property
    def remark(self) -> str:
        """What is unusual about the copies that are tried, in words."""
        return self._bench.remark

    def diagnosis(self, edits: Sequence[Edit], objective: str, draw: int = 0) -> Diagnosis | str:
        """Return what the scan says of the edited copy, or why the edits cannot be made.

        `draw` counts the random draws of the edits themselves; everything else is as in the scan.
        """
        return _once(self._seen, edits, f"{objective} {draw}", lambda: self._diagnose(edits, objective, draw))

    def training(self, edits: Sequence[Edit], objective: str, steps: int, deadline: Deadline) -> TrainingProbe | str:
        """Return how edited copies train beside the original, or why they could not. Raises OutOfTime."""
        if self._subject.objectives[self._index(objective)].kind == "projection":
            return "the loss is a random projection of the output, which has no lowest value"

        def trained(which: Sequence[Edit]) -> _Trained | str:
            return _once(self._trained, which, f"{objective} {steps}", lambda: self._train(which, objective, steps, deadline))

        original, edited = trained(()), trained(edits)
        if isinstance(original, str):
            return original
        if isinstance(edited, str):
            return edited
        return compare(
            original.runs, edited.runs, steps=steps, optimizer=describe(edited.loop), comparable=not edited.new_loss_scale
        )

    def _setup(self, subject: Subject, objective: str, seed: int) -> Setup:
        index = self._index(objective)
        return Setup(
            subject=subject,
            objective=subject.objectives[index],
            profile=self.before.profiles[index],
            loop=loop_of(subject),
            seed=seed,
        )

    def _index(self, objective: str) -> int:
        """Find the objective by name; a finding that holds under all of them is tried under the first."""
        names = [each.name for each in self._subject.objectives]
        return names.index(objective) if objective in names else 0

    def _diagnose(self, edits: Sequence[Edit], objective: str, draw: int) -> Diagnosis:
        with self._bench.fresh() as subject:
            setup = apply(self._setup(subject, objective, self._settings.seed + draw), edits)
            return diagnose(edited(setup, self._index(objective)), self._settings)

    def _train(self, edits: Sequence[Edit], objective: str, steps: int, deadline: Deadline) -> _Trained:
        check = deadline.pace(steps * SEEDS)
        run, setup = self._run(edits, objective, 0, steps, check)
        losses = [run]
        again, _ = self._run(edits, objective, 1, _ALIKE, check)
        if again == run[: len(again)]:  # nothing in it is random: all seeds give the same
            losses *= SEEDS
        else:
            losses += [self._run(edits, objective, i, steps, check)[0] for i in range(1, SEEDS)]
        return _Trained(runs_of(losses), setup.loop, setup.new_loss_scale)

    def _run(
        self, edits: Sequence[Edit], objective: str, number: int, steps: int, check: Callable[[], None]
    ) -> tuple[list[float], Setup]:
        with self._bench.fresh() as subject:
            seed = self._settings.seed + number
            setup = apply(self._setup(subject, objective, seed), edits)
            return train(setup, steps=steps, seed=seed, check=check), setup


def edited(setup: Setup, index: int) -> Subject:
    """Return the subject as the edits left it, its objective and the optimizer of its loop in place."""
    objectives = list(setup.subject.objectives)
    objectives[index] = dataclasses.replace(setup.objective, name=objectives[index].name)  # findings refer to the name
    optimizer = None if setup.loop.assumed else setup.loop.optimizer  # at its full rate: a warm-up leads there
    return dataclasses.replace(setup.subject, objectives=tuple(objectives), optimizer=optimizer)


def _once(memory: dict[str, _T | str], edits: Sequence[Edit], objective: str, make: Callable[[], _T]) -> _T | str:
    """Make it, or remember it; what goes wrong becomes the reason, in words."""
    key = json.dumps([to_dict(tuple(edits)), objective], sort_keys=True)
    if key not in memory:
        try:
            memory[key] = make()
        except NotApplicable as reason:
            memory[key] = str(reason)
        except GradcheckError as error:
            memory[key] = f"the edited model does not run: {error.what}"
        except (Exception, SystemExit, GeneratorExit) as error:  # whatever the user's code may raise but Ctrl-C
            memory[key] = f"the edit failed: {type(error).__name__}: {brief(error)}"
    return memory[key]
