"""Whether suggestions that were tried cure: on networks known to be sick, and by full training afterwards.

    python benchmarks/remedies.py                    everything: about 40 minutes on two cores
    python benchmarks/remedies.py --fast             every sixth network
    python benchmarks/remedies.py --part zoo         the sick generator families of verdicts.py alone; or grid
    python benchmarks/remedies.py --only sigmoid     networks whose name contains a word
    python benchmarks/remedies.py --markdown FILE    the result as a page as well

Every error and warning is treated as `gradcheck scan` treats it. A finding counts as cured by its first suggestion if that
one, the first that could be made on a copy, cured it alone. Networks of the trainability grid that did not train are treated
likewise, built anew with other random weights, given the cure's edits, and trained fully as benchmarks/trainability.py does.
A cure is false if its finding is back on a network built anew, or if the cured network never begins to learn. Exit code 1
when a goal is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread a worker; must stand before torch is imported
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from cures import Trained, Treated

FIRST, ANY, TRAINED, FALSE = 0.80, 0.95, 0.80, 0.03


@dataclass(frozen=True, slots=True)
class Job:
    """One network to treat: a case of the zoo by name, or a network of the grid by its number."""

    part: str
    name: str
    family: str
    seed: int


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one network; `error` is set when its scan gave no verdict."""

    job: Job
    treated: tuple[Treated, ...] = ()
    trained: Trained | None = None
    seconds: float = 0.0
    error: str = ""


_WORLD: dict = {}


def _start_worker() -> None:
    import logging
    import warnings

    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    from trainability import outcomes
    from zoo.catalogue import SICK, load_cases

    _WORLD.update(cases=load_cases(SICK), grid=outcomes())


def _run(job: Job) -> Run:
    from cures import treat_case, treat_setting

    start = time.perf_counter()
    try:
        if job.part == "zoo":
            treated, trained = treat_case(_WORLD["cases"][job.name], job.seed), None
        else:
            treated, trained = treat_setting(*_WORLD["grid"][job.seed])
    except Exception as error:
        return Run(job, error=f"{type(error).__name__}: {error}", seconds=time.perf_counter() - start)
    return Run(job, tuple(treated), trained, time.perf_counter() - start)


def jobs(seeds: Sequence[int]) -> list[Job]:
    """Every sick case of the zoo under each seed, and the networks of the grid that did not train with SGD or with Adam."""
    from small_networks import RATES
    from trainability import outcomes
    from zoo.catalogue import SICK, load_cases

    zoo = [Job("zoo", name, case.family, seed) for name, case in load_cases(SICK).items() for seed in seeds]
    grid = [
        Job("grid", setting.name, f"grid {setting.family}", number)
        for number, (setting, row) in enumerate(outcomes())
        if not all(row[optimizer.lower()]["trained"] for optimizer in RATES)
    ]
    return zoo + grid


def run_all(todo: Sequence[Job], workers: int) -> list[Run]:
    """Treat every network in spawned workers; progress goes to stderr."""
    context = multiprocessing.get_context("spawn")
    runs = []
    with context.Pool(workers, _start_worker) as pool:
        for i, run in enumerate(pool.imap_unordered(_run, todo), 1):
            runs.append(run)
            print(f"{i}/{len(todo)} {run.job.name}: {run.seconds:.1f} s {run.error}", file=sys.stderr, flush=True)
    return sorted(runs, key=lambda r: (r.job.part, r.job.name, r.job.seed))


@dataclass
class Tally:
    """What the runs amount to."""

    triable: list[tuple[Job, Treated]] = field(default_factory=list)
    untriable: list[tuple[Job, Treated]] = field(default_factory=list)
    trained: list[Trained] = field(default_factory=list)  # found sick by gradcheck
    unseen: list[str] = field(default_factory=list)  # did not train, and nothing was found
    broken: list[Run] = field(default_factory=list)

    def first(self, rows: Iterable[tuple[Job, Treated]]) -> float:
        return _share([t.first is not None and t.first.outcome == "cured" for _, t in rows])

    def any(self, rows: Iterable[tuple[Job, Treated]]) -> float:
        return _share([bool(t.cure) for _, t in rows])

    @property
    def zoo(self) -> list[tuple[Job, Treated]]:
        return [(job, t) for job, t in self.triable if job.part == "zoo"]

    def untrained(self, optimizer: str) -> list[Trained]:
        """Networks that did not train with the optimizer; "either" stands for those that trained with none."""
        if optimizer == "either":
            return [t for t in self.trained if not any(t.before.values())]
        return [t for t in self.trained if not t.before[optimizer]]

    def success(self, optimizer: str) -> float:
        rows = self.untrained(optimizer)
        return _share([any(t.after.values()) if optimizer == "either" else t.after[optimizer] for t in rows])

    def promises(self) -> list[tuple[str, str]]:
        """Every cure that was held against something, with what speaks against it, "" when nothing does."""
        from cures import never_begins

        kept = [(f"{t.network}: {t.cure} for {t.code}", back) for _, t in self.triable for back in t.redrawn]
        said = [(t, f"trained fully, the loss stays at {t.lowest:.2f} ln C") for t in self.trained if t.cure]
        return kept + [(f"{t.network}: {t.cure}", words if never_begins(t) else "") for t, words in said]

    @property
    def false(self) -> float:
        return 1.0 - _share([not back for _, back in self.promises()])


def tally(runs: Iterable[Run]) -> Tally:
    """Sort what the runs found by what can be said of it."""
    result = Tally()
    for run in runs:
        if run.error:
            result.broken.append(run)
        for treated in run.treated:
            (result.triable if treated.first else result.untriable).append((run.job, treated))
        if run.trained is not None and run.trained.codes:
            result.trained.append(run.trained)
        elif run.trained is not None:
            result.unseen.append(run.job.name)
    return result


def _share(held: Sequence[bool]) -> float:
    return sum(held) / len(held) if held else 1.0


def _by(rows: Sequence[tuple[Job, Treated]], key: str) -> dict[str, list[tuple[Job, Treated]]]:
    groups = defaultdict(list)
    for job, treated in rows:
        groups[job.family if key == "family" else treated.code].append((job, treated))
    return dict(sorted(groups.items()))


def cured_lines(t: Tally) -> list[str]:
    """The shares cured by the first suggestion and by any, over all, by family and by code."""
    lines = ["| findings | number | first suggestion cures | any cures |", "| --- | --- | --- | --- |"]
    groups = {"**sick families**": t.zoo}
    groups |= {f"family {name}": rows for name, rows in _by(t.triable, "family").items()}
    groups |= {f"{code}, families": rows for code, rows in _by(t.zoo, "code").items()}
    lines += [f"| {name} | {len(rows)} | {t.first(rows):.1%} | {t.any(rows):.1%} |" for name, rows in groups.items() if rows]
    goals = f"goals: {FIRST:.0%} and {ANY:.0%} over the sick families"
    return [*lines, "", goals, ""]


def trained_lines(t: Tally) -> list[str]:
    """How many networks of the grid that did not train do so once cured."""
    lines = ["| did not train with | found sick | cured | train once cured | of the cured |", "| --- | --- | --- | --- | --- |"]
    for name in ("either", "SGD", "Adam"):
        rows = t.untrained(name)
        if not rows:  # of nothing there is no share
            continue
        cured = [r for r in rows if r.cure]
        among = _share([any(r.after.values()) if name == "either" else r.after[name] for r in cured])
        lines.append(f"| {name} | {len(rows)} | {len(cured)} | {t.success(name):.1%} | {among:.1%} |")
    return [*lines, "", f"goal: {TRAINED:.0%} of those that trained with neither; nothing found on {len(t.unseen)}", ""]


def report(t: Tally) -> list[str]:
    """The result as lines of Markdown, so that the page and the screen say the same."""
    promises = t.promises()
    false = [f"{what}: {back}" for what, back in promises if back]
    uncured = [r for r in t.untrained("either") if not any(r.after.values())]
    sections = (
        ("findings that the first suggestion does not cure", _kinds_of_misses(t)),
        ("findings that nothing cures", [_missed(job, x) for job, x in t.triable if not x.cure]),
        ("networks of the grid that do not train once treated", [_untrained(r) for r in uncured]),
        ("false cures", false),
        ("findings without a suggestion that could be tried", [_unchecked(job, x) for job, x in t.untriable]),
        ("scans without a verdict", [f"{r.job.name} (seed {r.job.seed}): {r.error}" for r in t.broken]),
    )
    lines = [*cured_lines(t), *trained_lines(t)]
    lines += [f"false cures: {t.false:.1%} of {len(promises)} checks, goal {FALSE:.0%}", ""]
    for title, entries in sections:
        lines += [f"{title}: {len(entries)}", "", *[f"- {e}" for e in entries], *([""] if entries else [])]
    return lines


def _kinds_of_misses(t: Tally) -> list[str]:
    kinds = Counter(
        f"{x.code}: {x.first.title} ({x.first.outcome}), cured by {x.cure or 'nothing'}"
        for _, x in t.triable
        if x.first is not None and x.first.outcome != "cured"
    )
    return [f"{kind}: {n} times" for kind, n in sorted(kinds.items())]


def _missed(job: Job, x: Treated) -> str:
    tried = "; ".join(f"{a.title} ({a.outcome}{': ' + a.reason if a.reason else ''})" for a in x.tried)
    return f"{x.network} (seed {x.seed}, {job.part}): {x.code} `{x.layer}`: {tried}"


def _unchecked(job: Job, x: Treated) -> str:
    why = [*(f"{a.title}: {a.reason}" for a in x.tried), *x.untried]
    return f"{x.network} (seed {x.seed}, {job.part}): {x.code} `{x.layer}`: {'; '.join(why) or 'no suggestion'}"


def _untrained(r: Trained) -> str:
    return f"{r.network}: {', '.join(r.codes)}; {r.cure or 'nothing cured'}; lowest loss {r.lowest:.2f} ln C"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("zoo", "grid"), help="only this part")
    parser.add_argument("--only", default="", help="only networks whose name contains this")
    parser.add_argument("--seeds", type=int, default=1, help="seeds for each case of the zoo")
    parser.add_argument("--first-seed", type=int, default=0, help="where the seeds start")
    parser.add_argument("--fast", action="store_true", help="every sixth network")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--markdown", type=Path, help="write the result there as well")
    options = parser.parse_args()
    todo = jobs(range(options.first_seed, options.first_seed + options.seeds))
    todo = [j for j in todo if options.only in j.name and options.part in (None, j.part)][:: 6 if options.fast else 1]
    if not todo:
        parser.error("no network has such a name")
    runs = run_all(todo, options.jobs)
    result = tally(runs)
    lines = report(result)
    seconds = sorted(r.seconds for r in runs)
    lines.append(f"a network takes {seconds[len(seconds) // 2]:.1f} s in the median, {seconds[-1]:.0f} s at most")
    print("\n".join(lines))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    met = result.first(result.zoo) >= FIRST and result.any(result.zoo) >= ANY
    return int(not (met and result.success("either") >= TRAINED and result.false <= FALSE))


if __name__ == "__main__":
    sys.exit(main())
