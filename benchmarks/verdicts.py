"""Verdicts on networks whose state is known: false alarms on healthy ones, recall on sick ones.

    python benchmarks/verdicts.py                    everything: about ten minutes on two cores
    python benchmarks/verdicts.py --fast             one seed of every third network
    python benchmarks/verdicts.py --only resnet      cases whose name contains a word; --family recurrent likewise
    python benchmarks/verdicts.py --markdown FILE    the summary as a page as well

Exit code 1 when recall falls below 95 % or more than 1 % of the healthy runs raise an error or a warning.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread a worker; must stand before torch is imported
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
sys.path.insert(0, str(Path(__file__).parent))

RECALL, FALSE_ALARMS = 0.95, 0.01
ALARMS = ("error", "warning")


@dataclass(frozen=True, slots=True)
class Raised:
    """One finding, as far as the benchmark needs it."""

    severity: str
    code: str
    layer: str
    message: str
    confirmed: str


@dataclass(frozen=True, slots=True)
class Run:
    """One case under one seed; `error` is set when the scan gave no verdict."""

    name: str
    seed: int
    findings: tuple[Raised, ...]
    seconds: float
    error: str = ""

    @property
    def alarms(self) -> tuple[Raised, ...]:
        return tuple(f for f in self.findings if f.severity in ALARMS)


def cases(files: Sequence[str] | None = None):
    """All cases by name; imported late, since it loads torch."""
    from zoo.catalogue import HEALTHY, SICK, load_cases

    return load_cases(tuple(files or (*HEALTHY, *SICK)))


_CASES: dict = {}


def _start_worker() -> None:
    import logging
    import warnings

    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the parent has said which packages are missing
    _CASES.update(cases())


def _run(job: tuple[str, int]) -> Run:
    from gradcheck_cli.pipeline import examine
    from gradcheck_cli.settings import Settings

    name, seed = job
    start = time.perf_counter()
    try:
        report = examine(_CASES[name].build(seed), Settings(target=name, seed=seed, no_try=True))
    except Exception as error:
        return Run(name, seed, (), time.perf_counter() - start, f"{type(error).__name__}: {error}")
    found = tuple(Raised(f.severity, f.code, f.layer, f.message, f.confirmed) for f in report.findings)
    return Run(name, seed, found, time.perf_counter() - start)


def run_all(jobs: Sequence[tuple[str, int]], workers: int) -> list[Run]:
    """Examine every case in spawned workers; progress goes to stderr."""
    context = multiprocessing.get_context("spawn")
    runs = []
    with context.Pool(workers, _start_worker) as pool:
        for i, run in enumerate(pool.imap_unordered(_run, jobs), 1):
            runs.append(run)
            if sys.stderr.isatty() or i % 100 == 0:
                print(f"\r{i}/{len(jobs)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return sorted(runs, key=lambda r: (r.name, r.seed))


@dataclass(frozen=True, slots=True)
class Tally:
    """What the runs amount to."""

    healthy: list[Run]
    sick: list[Run]
    alarms: list[tuple[Run, Raised]]  # on healthy networks, not defended
    defended: list[tuple[Run, Raised]]
    misses: list[Run]
    strays: list[tuple[Run, Raised]]  # on sick networks: neither expected nor allowed
    broken: list[Run]

    @property
    def recall(self) -> float:
        return 1 - len(self.misses) / len(self.sick) if self.sick else 1.0

    @property
    def alarm_rate(self) -> float:
        return len({(r.name, r.seed) for r, _ in self.alarms}) / len(self.healthy) if self.healthy else 0.0


def tally(runs: Iterable[Run], known: dict) -> Tally:
    """Hold each run against what its case deserves. A scan without a verdict counts against the tool either way."""
    result = Tally([], [], [], [], [], [], [])
    for run in runs:
        case = known[run.name]
        if run.error:
            result.broken.append(run)
        if case.expect:
            result.sick.append(run)
            if not any(f.code in case.expect for f in run.alarms):
                result.misses.append(run)
            extra = [(run, f) for f in run.alarms if f.code not in case.expect | case.also_allowed]
            result.strays.extend(extra)
            continue
        result.healthy.append(run)
        if run.error:
            result.alarms.append((run, Raised("error", "no verdict", "", run.error, "")))
        for finding in run.alarms:
            excused = finding.code in case.also_allowed and finding.severity == "warning"
            (result.defended if excused else result.alarms).append((run, finding))
    return result


def _defences(t: Tally, known: dict) -> list[str]:
    """Each defended network once: its codes, how many of its runs, and why they are right."""
    names = sorted({run.name for run, _ in t.defended})
    lines = []
    for name in names:
        codes = Counter(f.code for run, f in t.defended if run.name == name)
        said = ", ".join(f"{code} in {n} runs" for code, n in sorted(codes.items()))
        lines.append(f"{name}: {said}: {known[name].defence}")
    return lines


def _lines(pairs: Iterable[tuple[Run, Raised]]) -> list[str]:
    return [
        f"{run.name} (seed {run.seed}): {f.severity} {f.code} `{f.layer}` {f.message}"
        + (f" [{f.confirmed}]" if f.confirmed else "")
        for run, f in pairs
    ]


def _missed(run: Run, known: dict) -> str:
    found = ", ".join(f"{f.code} {f.severity}" for f in run.findings) or run.error or "nothing"
    return f"{run.name} (seed {run.seed}): expected {' or '.join(sorted(known[run.name].expect))}, got {found}"


def report(t: Tally, known: dict) -> list[str]:
    """The result as lines of Markdown, so that the page and the screen say the same."""
    networks = len({r.name for r in t.healthy})
    loud = {r.name for r, _ in t.alarms}
    lines = [
        "| | networks | runs | result |",
        "| --- | --- | --- | --- |",
        f"| healthy | {networks} | {len(t.healthy)} | "
        f"{t.alarm_rate:.1%} of runs and {len(loud)} networks raise a false alarm |",
        f"| sick | {len({r.name for r in t.sick})} | {len(t.sick)} | recall {t.recall:.1%} |",
        "",
    ]
    sections = (
        ("false alarms", _lines(t.alarms)),
        ("defended warnings on healthy networks", _defences(t, known)),
        ("misses", [_missed(r, known) for r in t.misses]),
        ("further findings on sick networks", _lines(t.strays)),
        ("scans without a verdict", [f"{r.name} (seed {r.seed}): {r.error}" for r in t.broken]),
    )
    for title, entries in sections:
        lines += [f"{title}: {len(entries)}", "", *[f"- {e}" for e in entries], *([""] if entries else [])]
    mechanisms = Counter(m for name in {r.name for r in t.healthy} for m in known[name].mechanism.split(",") if m)
    lines.append(
        "healthy networks by mechanism: "
        + ", ".join(f"{m}: {n}" for m, n in sorted(mechanisms.items(), key=lambda x: int(x[0])))
    )
    seconds = sorted(r.seconds for r in (*t.healthy, *t.sick))
    lines.append(f"a scan takes {seconds[len(seconds) // 2]:.2f} s in the median, {seconds[-1]:.1f} s at most")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="", help="only families whose name contains this")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--seeds", type=int, default=3, help="seeds for each healthy network (sick ones get at most two)")
    parser.add_argument(
        "--first-seed", type=int, default=0, help="where the seeds start; those from 100 on were never tuned on"
    )
    parser.add_argument("--fast", action="store_true", help="every third network, one seed")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--markdown", type=Path, help="write the summary there as well")
    options = parser.parse_args()
    known = {n: c for n, c in cases().items() if options.only in n and options.family in c.family}
    names = list(known)[:: 3 if options.fast else 1]
    seeds = 1 if options.fast else options.seeds
    first = options.first_seed
    jobs = [(n, first + s) for n in names for s in range(min(seeds, 2) if known[n].expect else seeds)]
    if not jobs:
        parser.error("no case has such a name or family")
    result = tally(run_all(jobs, options.jobs), known)
    lines = report(result, known)
    print("\n".join(lines))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(result.recall < RECALL or result.alarm_rate > FALSE_ALARMS)


if __name__ == "__main__":
    sys.exit(main())
