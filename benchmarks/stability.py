"""Do verdicts flap? Twenty networks at a limit, ten seeds, one and two threads.

    python benchmarks/stability.py                    all of it: two to five minutes on two cores
    python benchmarks/stability.py --only RNN         models whose name contains a word
    python benchmarks/stability.py --raw FILE         every run as a line of JSON as well

Each model (`borderline.py`) is a file that the public pipeline scans as it is, without trials, which change no exit code. The
criterion: over seeds and threads a model's exit codes are all equal, or every run on the side of the minority says how close it
is; so does every run of a seed whose exit code the number of threads turns. Exit code 1 when a model breaks it.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from borderline import MODELS, Borderline

if TYPE_CHECKING:
    from gradcheck_cli.rules.close_calls import Margins

THREADS = (1, 2)
SCALES = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the margins of gradcheck_cli/rules/close_calls.py


@dataclass(frozen=True, slots=True)
class Run:
    """One scan; `calls` are its close calls in words, `stated` whether it has any at each of SCALES."""

    model: str
    threads: int
    seed: int
    fails: bool
    findings: tuple[str, ...]
    calls: tuple[str, ...]
    stated: tuple[bool, ...]
    numbers: str  # a digest of all that was measured


@dataclass(frozen=True, slots=True)
class Tally:
    """The runs of one model; `stated` counts those with a close call, `minority` the runs whose exit code is the rarer one."""

    codes: dict[int, str]  # by threads, a digit for each seed
    runs: int
    stated: int
    minority: int
    minority_stated: int
    turned: int  # seeds whose exit code the number of threads turns
    turned_silently: int  # of these, those with a run that states no close call
    differing: int  # seeds of which the measured numbers differ between the numbers of threads

    @property
    def holds(self) -> bool:
        return self.minority == self.minority_stated and not self.turned_silently


def tally(runs: Sequence[Run], scale: int = -1) -> Tally:
    """Count one model's runs, with the close calls of one of SCALES; where the sides are equal, both are the minority."""
    failing = sum(run.fails for run in runs)
    rarer = {code for code, count in ((True, failing), (False, len(runs) - failing)) if 0 < count <= len(runs) / 2}
    minority = [run for run in runs if run.fails in rarer]
    seeds = sorted({run.seed for run in runs})
    by_seed = [[run for run in runs if run.seed == seed] for seed in seeds]
    turned = [same for same in by_seed if len({run.fails for run in same}) > 1]
    return Tally(
        codes={
            threads: "".join(str(int(run.fails)) for run in sorted(runs, key=lambda r: r.seed) if run.threads == threads)
            for threads in sorted({run.threads for run in runs})
        },
        runs=len(runs),
        stated=sum(run.stated[scale] for run in runs),
        minority=len(minority),
        minority_stated=sum(run.stated[scale] for run in minority),
        turned=len(turned),
        turned_silently=sum(not all(run.stated[scale] for run in same) for same in turned),
        differing=sum(len({run.numbers for run in same}) > 1 for same in by_seed),
    )


def report(runs: Iterable[Run], models: Sequence[Borderline]) -> tuple[list[str], bool]:
    """The table, what smaller margins would state, and whether the criterion holds."""
    runs = list(runs)
    by_model = {model.name: [run for run in runs if run.model == model.name] for model in models}
    tallies = {name: tally(own) for name, own in by_model.items()}
    lines = [
        f"| model | rule | fails on | exit codes, {' and '.join(map(str, THREADS))} threads | runs that say it is close |",
        "| --- | --- | --- | --- | --- |",
        *(_row(model, tallies[model.name]) for model in models),
        "",
        *_sweep(list(by_model.values())),
        "",
    ]
    turned, differing = (sum(getattr(t, name) for t in tallies.values()) for name in ("turned", "differing"))
    seeds = len({(run.model, run.seed) for run in runs})
    flapping = sum(t.minority > 0 for t in tallies.values())
    broken = [name for name, t in tallies.items() if not t.holds]
    lines += [
        f"between the numbers of threads: {differing} of {seeds} profiles differ, {turned} exit codes turn",
        f"models with one exit code in all runs: {len(tallies) - flapping}, with both: {flapping}",
        f"criterion: broken by {', '.join(broken)}" if broken else "criterion: holds for every model",
    ]
    return lines, not broken


def _row(model: Borderline, t: Tally) -> str:
    codes = list(dict.fromkeys(t.codes.values()))
    shown = ", ".join(codes) if len(codes) > 1 else f"{codes[0]} twice"
    missing = t.minority - t.minority_stated
    said = f"{t.stated} of {t.runs}" + (f"; {missing} of the minority's {t.minority} do not" if missing else "")
    return f"| {model.name} | {model.rule} | {model.fail_on} | {shown} | {said} |"


def _sweep(groups: Sequence[Sequence[Run]]) -> list[str]:
    """What share of the runs smaller margins would reach."""
    lines = [
        "| margins, times the chosen ones | runs that say it is close | of those on the minority's side |",
        "| --- | --- | --- |",
    ]
    for i, scale in enumerate(SCALES):
        tallies = [tally(runs, i) for runs in groups]
        runs, stated, minority, of_these = (
            sum(getattr(t, name) for t in tallies) for name in ("runs", "stated", "minority", "minority_stated")
        )
        lines.append(f"| {scale:g} | {stated / runs:.0%} | {of_these / minority if minority else 1.0:.0%} |")
    return lines


def _start_worker(threads: int) -> None:
    import warnings

    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["OMP_WAIT_POLICY"] = "passive"  # a thread that waits must not take a core from other work on the machine
    import torch

    torch.set_num_threads(threads)
    warnings.filterwarnings("ignore")


def _scaled(margins: Margins, scale: float) -> Margins:
    return type(margins)(**{name: scale * value for name, value in dataclasses.asdict(margins).items()})


def _scan(job: tuple[Borderline, str, int]) -> Run:
    import torch

    from gradcheck_cli.pipeline import scan
    from gradcheck_cli.records import SEVERITIES
    from gradcheck_cli.rules.close_calls import MARGINS, close_calls
    from gradcheck_cli.settings import Settings

    model, file, seed = job
    settings = Settings(target=file, seed=seed, no_try=True, fail_on=model.fail_on)
    result = scan(settings)
    bar = SEVERITIES.index(model.fail_on)
    stated = [bool(close_calls(result.profiles, settings, margins=_scaled(MARGINS, scale))) for scale in SCALES[:-1]]
    return Run(
        model=model.name,
        threads=torch.get_num_threads(),
        seed=seed,
        fails=any(SEVERITIES.index(finding.severity) <= bar for finding in result.findings),
        findings=tuple(f"{finding.severity} {finding.code} {finding.layer}" for finding in result.findings),
        calls=tuple(f"{c.code} {c.limit} {c.value:g} -> {c.turns_at:g}" for c in result.close_calls),
        stated=(*stated, bool(result.close_calls)),
        numbers=hashlib.blake2b(repr(result.profiles).encode(), digest_size=8).hexdigest(),
    )


def run_all(models: Sequence[Borderline], seeds: Sequence[int], folder: Path) -> list[Run]:
    """Scan every model in spawned workers, one number of threads after the other; progress goes to stderr."""
    jobs = []
    for number, model in enumerate(models):
        file = folder / f"borderline_{number}.py"
        file.write_text(model.source, encoding="utf-8")
        jobs += [(model, str(file), seed) for seed in seeds]
    runs: list[Run] = []
    for threads in THREADS:
        workers = max(1, (os.cpu_count() or 1) // threads)
        with multiprocessing.get_context("spawn").Pool(workers, _start_worker, (threads,)) as pool:
            for run in pool.imap_unordered(_scan, jobs):
                runs.append(run)
                if sys.stderr.isatty() or len(runs) % 100 == 0:
                    print(f"\r{len(runs)}/{len(jobs) * len(THREADS)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only models whose name contains this")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=100, help="the knobs were turned on seeds 0 to 7")
    parser.add_argument("--raw", type=Path, help="write every run there, one line of JSON each")
    options = parser.parse_args()
    models = [model for model in MODELS if options.only in model.name]
    if not models:
        parser.error("no model has such a name")
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        runs = run_all(models, seeds, Path(folder))
    if options.raw:
        options.raw.write_text("".join(json.dumps(dataclasses.asdict(run)) + "\n" for run in runs), encoding="utf-8")
    lines, holds = report(runs, models)
    print("\n".join(lines))
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
