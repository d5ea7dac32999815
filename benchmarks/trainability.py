"""How well what gradcheck sees at initialisation predicts whether a network trains.

    python benchmarks/trainability.py            scan the grid, compare with the stored outcomes (2 minutes)
    python benchmarks/trainability.py --train    train the grid again first (50 minutes on one core) and store the outcomes

A network trains with an optimizer if the training loss, averaged over 20 mini-batches, falls below half of ln C within 300
steps at one of the learning rates; one that has only begun to learn by then (below 0.95 ln C) gets 1,000 steps at its best
rate. ROC AUC is the chance that a network that does not train scores higher than one that does. Exits 1 if the verdict's AUC
is below 0.95 for SGD, for Adam or for either.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from small_networks import BATCH, MORE_STEPS, RATES, STEPS, Learner, Setting, build, grid, grid_hash, task, tune
from torch import Tensor, nn
from torch.nn import functional as F

from gradcheck_cli.loading.base import Batch, Objective, Outcome, Subject
from gradcheck_cli.pipeline import examine
from gradcheck_cli.records import Report
from gradcheck_cli.settings import Settings

OUTCOMES = Path(__file__).parent / "data" / "trainability.json"
GOAL = 0.95
LEVELS = ("clean", "warning", "error")
BINS = (-math.inf, -4, -2, -1, 1, 2, 4, math.inf)  # decades of drop
DEPTH_SCALE = 25.0  # activations without a skip that count like a decade of drop; 15 to 40 give the same AUC to 0.005


def train_all() -> None:
    """Train every network of the grid with tuned SGD and Adam on one thread, and store the outcomes."""
    x, y = task()
    started = time.process_time()
    rows = []
    for setting in grid():
        learner = Learner(functools.partial(build, setting), setting.seed, x, y)
        outcome = {optimizer.lower(): tune(learner, optimizer) for optimizer in RATES}
        rows.append({"name": setting.name, **asdict(setting), **outcome})
        print(f"{len(rows):4d} {time.process_time() - started:6.0f} s  {setting.name}  {outcome}", flush=True)
    head = {"grid": grid_hash(), "torch": torch.__version__}
    body = ",\n".join(json.dumps(row) for row in rows)
    OUTCOMES.write_text(json.dumps(head)[:-1] + ', "networks": [\n' + body + "\n]}\n")


def subject(setting: Setting, x: Tensor, y: Tensor) -> Subject:
    """The network at its initialisation under cross-entropy, with three mini-batches."""
    random_ = torch.Generator().manual_seed(10**6 + setting.seed)
    picks = [torch.randint(0, len(x), (BATCH,), generator=random_) for _ in range(3)]

    def compute(model: nn.Module, batch: Batch) -> Outcome:
        output = model(*batch.args)
        return Outcome(loss=F.cross_entropy(output, batch.target), output=output, target=batch.target)

    return Subject(
        model=build(setting),
        batches=tuple(Batch(args=(x[p],), target=y[p]) for p in picks),
        objectives=(Objective(name="cross_entropy", kind="cross_entropy", origin="benchmark", compute=compute),),
        optimizer=None,
        sites={},
        target=setting.name,
    )


@dataclass(frozen=True, slots=True)
class Trained:
    """How training went: lowest loss as a share of ln C (infinite when it diverged at every rate), and the steps taken."""

    success: bool
    loss: float
    steps: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What the scan says of one network, and how it trained."""

    setting: Setting
    drop: float  # decades lost on the way to the input, along the spine where most is lost or gained
    depth: int  # activations on that spine that no skip passes by
    level: int  # index into LEVELS
    codes: tuple[str, ...]
    trained: dict[str, Trained]

    @property
    def verdict(self) -> float:
        """The severity first, and the size of the drop among networks of the same severity."""
        return 1000 * self.level + min(abs(self.drop), 999.0)

    def trains(self, optimizer: str, within: int = MORE_STEPS) -> bool:
        tried = self.trained.values() if optimizer == "either" else (self.trained[optimizer],)
        return any(t.success and t.steps <= within for t in tried)


def see(setting: Setting, row: dict[str, Any], report: Report) -> Seen:
    spines = [spine for profile in report.profiles for spine in profile.spines]
    worst = max(spines, key=lambda s: abs(s.drop), default=None)
    findings = [f for f in report.findings if f.severity != "note"]
    trained = {}
    for optimizer in RATES:
        outcome = row[optimizer.lower()]
        loss = math.inf if outcome["loss"] is None else outcome["loss"]
        trained[optimizer] = Trained(outcome["trained"], loss, outcome["steps"] or 0)
    return Seen(
        setting=setting,
        drop=worst.drop if worst else -math.inf,  # without one finite spine the gradient overflowed
        depth=sum(s.role == "activation" and not s.bypassed for s in worst.segments) if worst else 0,
        level=max((LEVELS.index(f.severity) for f in findings), default=0),
        codes=tuple(f"{f.severity} {f.code}" for f in findings),
        trained=trained,
    )


def outcomes() -> list[tuple[Setting, dict[str, Any]]]:
    """Every network of the grid with its stored outcome; SystemExit if those are of another grid."""
    stored = json.loads(OUTCOMES.read_text())
    if stored["grid"] != grid_hash():
        raise SystemExit(f"{OUTCOMES.name} was made for another grid: run with --train first")
    return list(zip(grid(), stored["networks"], strict=True))


def see_all() -> list[Seen]:
    """Scan every network of the grid."""
    x, y = task()
    seen = []
    for setting, row in outcomes():
        report = examine(subject(setting, x, y), Settings(target=setting.name, no_try=True))
        seen.append(see(setting, row, report))
    return seen


def auc(seen: Sequence[Seen], score: Callable[[Seen], float], optimizer: str, within: int) -> float:
    """Area under the ROC curve of `score` for "does not train"; ties count half; nan when all or none train."""
    sick = [score(s) for s in seen if not s.trains(optimizer, within)]
    fit = [score(s) for s in seen if s.trains(optimizer, within)]
    wins = sum((a > b) + 0.5 * (a == b) for a in sick for b in fit)
    return wins / (len(sick) * len(fit)) if sick and fit else math.nan


def show_auc(seen: Sequence[Seen]) -> bool:
    """Print AUC per fact and per part of the grid; return whether the verdict reaches the goal."""
    optimizers = ("SGD", "Adam", "either")
    print("\n| ROC AUC | networks | trains with SGD | trains with Adam | with either |\n| --- | --- | --- | --- | --- |")

    def line(label: str, part: Sequence[Seen], score: Callable[[Seen], float], within: int = MORE_STEPS) -> list[float]:
        areas = [auc(part, score, o, within) for o in optimizers]
        print(f"| {label} | {len(part)} | {' | '.join('–' if math.isnan(a) else f'{a:.3f}' for a in areas)} |")
        return areas

    line("size of the drop, both directions", seen, lambda s: abs(s.drop))
    line("… gradient shrinks", [s for s in seen if s.drop >= 0], lambda s: s.drop)
    line("… gradient grows", [s for s in seen if s.drop < 0], lambda s: -s.drop)
    line("drop, and depth without a skip", seen, lambda s: abs(s.drop) + s.depth / DEPTH_SCALE)
    line("severity of the verdict", seen, lambda s: s.level)
    areas = line("**verdict: severity, then drop**", seen, lambda s: s.verdict)
    parts: dict[str, Callable[[Setting], bool]] = {
        "plain MLPs": lambda s: s.family == "mlp" and s.norm == "none" and not s.skip,
        "MLPs with norm or skip": lambda s: s.family == "mlp" and (s.norm != "none" or s.skip),
        "conv nets": lambda s: s.family == "conv",
    }
    for name, belongs in parts.items():
        line(f"… verdict, {name}", [s for s in seen if belongs(s.setting)], lambda s: s.verdict)
    line(f"… verdict, slow counts as sick: {STEPS} steps", seen, lambda s: s.verdict, STEPS)
    return all(area >= GOAL for area in areas)


def show_shares(seen: Sequence[Seen]) -> None:
    """Print the share of networks that train, by severity and by drop."""

    def line(label: str, part: Sequence[Seen]) -> None:
        shares = [f"{sum(s.trains(o) for s in part) / len(part):.0%}" if part else "–" for o in ("SGD", "Adam", "either")]
        print(f"| {label} | {len(part)} | {' | '.join(shares)} |")

    print("\n| share that trains | networks | SGD | Adam | either |\n| --- | --- | --- | --- | --- |")
    for level, name in enumerate(LEVELS):
        line(f"verdict: {name}", [s for s in seen if s.level == level])
    for low, high in itertools.pairwise(BINS):
        words = f"under {high:g}" if low == -math.inf else f"over {low:g}" if high == math.inf else f"{low:g} to {high:g}"
        line(f"drop {words} decades", [s for s in seen if low <= s.drop < high])


def show_disagreements(seen: Sequence[Seen]) -> None:
    """List where the verdict is wrong for both optimizers, and where for one of them."""
    wrong = [s for s in seen if (s.level == 2 and s.trains("SGD")) or (s.level == 0 and not s.trains("either"))]
    partly = [s for s in seen if s.level in (0, 2) and s.trains("Adam") and not s.trains("SGD")]
    print(f"\n{len(wrong)} networks disagree: an error that trains with SGD, or a clean one that trains with neither")
    _list(wrong)
    print(f"\n{len(partly)} disagree in part: an error or a clean one that only Adam trains")
    _list(partly)


def _list(seen: Sequence[Seen]) -> None:
    print("\n| network | drop | loss with SGD, × ln C | with Adam | verdict |\n| --- | --- | --- | --- | --- |")
    for s in seen:
        losses = " | ".join(f"{t.loss:.2f}" for t in s.trained.values())
        print(f"| {s.setting.name} | {s.drop:+.1f} | {losses} | {', '.join(s.codes) or 'clean'} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.train:
        train_all()
    seen = see_all()
    trained = Counter((s.trains("SGD"), s.trains("Adam")) for s in seen)
    print(
        f"{len(seen)} networks: {trained[True, True]} train with SGD and Adam, {trained[True, False]} with SGD alone, "
        f"{trained[False, True]} with Adam alone, {trained[False, False]} with neither"
    )
    met = show_auc(seen)
    show_shares(seen)
    show_disagreements(seen)
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
