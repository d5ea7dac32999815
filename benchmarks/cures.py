"""Treat sick networks as a scan does, then hold each cure against networks that are built anew, and against full training."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from small_networks import BEGUN, RATES, Learner, Setting, task, tune
from torch import nn
from trainability import subject
from zoo.cases import Case

from gradcheck_cli.diagnosis import diagnose
from gradcheck_cli.loading.base import Subject
from gradcheck_cli.pipeline import examine
from gradcheck_cli.probing.copying import copy_model
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit, Finding, Report, Trial
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.attempts import edited
from gradcheck_cli.trials.base import Setup, apply
from gradcheck_cli.trials.training import loop_of

BUDGET = 120.0  # seconds for the trials of one network: enough for all that a finding's suggestions take
DRAWS = 2  # networks built anew for each cure
ANEW = 7919  # what is added to a seed for them, times the number of the draw


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial, as far as the benchmark needs it."""

    title: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Treated:
    """One error or warning of one network, and what became of it."""

    network: str
    seed: int
    code: str
    layer: str
    first: Tried | None  # the suggestion that was tried first; None when none could be tried
    cure: str  # the title of what cured, "" when nothing did
    alone: bool  # whether that is one suggestion and no combination
    tried: tuple[Tried, ...]  # best first
    untried: tuple[str, ...]  # suggestions that no trial can carry out, with the reasons
    redrawn: tuple[str, ...] = ()  # for each network built anew: what was found there of the same code, "" when nothing


@dataclass(frozen=True, slots=True)
class Trained:
    """How one network of the grid trained fully before (stored) and after its cure."""

    network: str
    cure: str  # "" when no suggestion cured
    codes: tuple[str, ...]
    before: dict[str, bool]  # by optimizer
    after: dict[str, bool]
    lowest: float  # of the losses that the cured network reached with any optimizer, as a share of ln C


def treat(name: str, made: Subject, seed: int) -> Report:
    """Examine a subject with all the time that its trials need."""
    return examine(made, Settings(target=name, seed=seed, try_budget=BUDGET))


def treat_case(case: Case, seed: int) -> list[Treated]:
    """Treat every error and warning of a case of the zoo, and build what was cured anew."""
    return treated(case.name, seed, treat(case.name, case.build(seed), seed), case.build)


def treat_setting(setting: Setting, row: dict[str, Any]) -> tuple[list[Treated], Trained]:
    """Treat a network of the grid likewise, and train the cured one fully."""
    x, y = task()
    report = treat(setting.name, subject(setting, x, y), setting.seed)
    found = treated(setting.name, setting.seed, report, lambda seed: subject(dataclasses.replace(setting, seed=seed), x, y))
    codes = tuple(f.code for f in report.findings if f.severity != "note")
    before = {optimizer: bool(row[optimizer.lower()]["trained"]) for optimizer in RATES}
    trial = chosen(report)
    if trial is None:
        return found, Trained(setting.name, "", codes, before, dict.fromkeys(RATES, False), float("inf"))
    anew = dataclasses.replace(setting, seed=setting.seed + ANEW)
    learner = Learner(functools.partial(cured_network, anew, trial), anew.seed, x, y)
    outcomes = {optimizer: tune(learner, optimizer) for optimizer in RATES}
    losses = [float(o["loss"]) for o in outcomes.values() if o["loss"] is not None]
    after = {optimizer: bool(o["trained"]) for optimizer, o in outcomes.items()}
    return found, Trained(setting.name, trial.title, codes, before, after, min(losses, default=float("inf")))


def never_begins(trained: Trained) -> bool:
    """Say whether a cured network did not even begin to learn."""
    return bool(trained.cure) and not trained.lowest < BEGUN


def chosen(report: Report) -> Trial | None:
    """Return the cure that takes away most of the findings; the first of those."""
    cured = [t for t in report.trials if t.outcome == "cured"]
    return max(cured, key=lambda t: len(t.also_cures), default=None)


def cured_network(setting: Setting, trial: Trial) -> nn.Module:
    """Build the network with other random weights and make the trial's edits on it."""
    x, y = task()
    return carry_out(subject(setting, x, y), trial.objective, trial.edits, setting.seed).subject.model


def carry_out(made: Subject, objective: str, edits: Sequence[Edit], seed: int) -> Setup:
    """Make edits on a copy of a subject that nobody has seen before; cases may share modules without weights."""
    made = dataclasses.replace(made, model=copy_model(made.model).model)
    goal = made.objectives[_index(made, objective)]
    profile = probe(made, goal, Settings(target=made.target, seed=seed))
    setup = Setup(subject=made, objective=goal, profile=profile, loop=loop_of(made), seed=seed)
    return apply(setup, edits)


def treated(network: str, seed: int, report: Report, make: Any) -> list[Treated]:
    """Sum the trials of each error and warning up; `make` builds the subject from another seed."""
    rows, known = [], list[tuple[str, ...]]()
    for finding in report.findings:
        if finding.severity == "note":
            continue
        trials = [t for t in report.trials if (t.code, t.layer) == (finding.code, finding.layer)]
        mine = [p for p in report.prescriptions if (p.code, p.layer) == (finding.code, finding.layer)]
        order = [*known, *((p.remedy,) for p in mine if p.edits)]
        made = {t.remedies: t for t in trials if t.outcome != "not applied"}
        first = next((made[remedies] for remedies in order if remedies in made), None)
        cure = next((t for t in trials if t.outcome == "cured"), None)
        if cure is not None and cure.remedies not in known:
            known.append(cure.remedies)
        rows.append(
            Treated(
                network=network,
                seed=seed,
                code=finding.code,
                layer=finding.layer,
                first=_tried(first) if first else None,
                cure=cure.title if cure else "",
                alone=cure is not None and len(cure.remedies) == 1,
                tried=tuple(_tried(t) for t in trials),
                untried=tuple(f"{p.remedy}: {p.reason}" for p in mine if not p.edits),
                redrawn=tuple(_redraw(make(seed + n * ANEW), finding, cure, seed + n * ANEW) for n in range(1, DRAWS + 1))
                if cure
                else (),
            )
        )
    return rows


def _redraw(made: Subject, finding: Finding, cure: Trial, seed: int) -> str:
    """Make the cure's edits on a network with other random weights and data; return what is found of the same code."""
    setup = carry_out(made, cure.objective, cure.edits, seed)
    after = diagnose(edited(setup, _index(made, cure.objective)), Settings(target=made.target, seed=seed))
    back = [f for f in after.findings if f.code == finding.code and f.severity != "note"]
    return f"{back[0].severity} `{back[0].layer}` {back[0].message}" if back else ""


def _tried(trial: Trial) -> Tried:
    new = f"raises {', '.join(trial.new_findings)}" if trial.new_findings else ""
    said = [trial.reason, new if new not in trial.reason else ""]
    if trial.effect is not None and trial.outcome != "cured":
        said.append(f"{trial.effect.label} {trial.effect.before:.3g} -> {_figure(trial.effect.after)}")
    return Tried(trial.title, trial.outcome, "; ".join(s for s in said if s))


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _index(made: Subject, objective: str) -> int:
    names = [each.name for each in made.objectives]
    return names.index(objective) if objective in names else 0
