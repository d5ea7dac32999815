"""What probing costs, against the plain forward and backward pass and against other tools.

    python benchmarks/overhead.py            all of it, about 20 minutes
    python benchmarks/overhead.py --quick    few rounds, no GPT-2, no peers

Times are process CPU time on one thread. All candidates of a model run interleaved, the order rotating from round to round; a
figure is the median over rounds of candidate / plain of the same round. Every candidate has its own copy of the model and runs
once before the first round. Exits 1 if gradcheck misses a goal.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from peers import PEERS
from workloads import KINDS, Workload, build, chain

from gradcheck_cli.probing import probe as probing
from gradcheck_cli.settings import Settings

Step = Callable[[], object]
GOALS = {"mlp50": 1.9, "lstm": 1.15, "resnet50": 1.15, "gpt2": 1.15}
PEAK_GOAL, HELP_GOAL, SCAN_GOAL = 1.1, 150.0, 500.0  # times plain, ms, ms
LINEAR_GOAL = 1.3  # cost of a layer among 5,000 over one among 500
LONG = 20.0  # CPU seconds; a slower step is timed once
ROUNDS = {"mlp50": 21, "lstm": 11, "resnet50": 7, "gpt2": 5}
TINY = """import torch
from torch import nn

model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
x = torch.randn(64, 16)
y = torch.randint(0, 4, (64,))
loss_fn = nn.CrossEntropyLoss()
"""


class Probed:
    """gradcheck on a workload, in three widths."""

    def __init__(self, work: Workload) -> None:
        subject = work.subject()
        self.work, self.subject = work, subject
        self.measurer = probing.Measurer(
            subject=subject, objective=subject.objectives[0], model=subject.model, batch=subject.batches[0], seed=0
        )

    def observe(self) -> None:
        """One observed forward and backward pass, reduced to a Profile."""
        self.work.model.zero_grad(set_to_none=True)
        probing.observe(self.measurer)

    def measure(self) -> None:
        """The same, and the closer looks that need passes of their own: gradient through time, input dependence."""
        self.work.model.zero_grad(set_to_none=True)
        probing.measure(self.measurer)

    def probe(self) -> None:
        """The same, and snapshot, restoration and digest of the model."""
        probing.probe(self.subject, self.subject.objectives[0], Settings(target=self.work.name))


def interleave(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each step in each round; a step shorter than 0.2 s runs several times a round."""
    repeats, times = {}, {}
    for name, step in steps.items():
        step()
        start = time.process_time()
        step()
        times[name] = [time.process_time() - start]
        repeats[name] = max(1, round(0.2 / max(times[name][0], 1e-3)))
    order = [name for name in steps if times[name][0] < LONG]
    for name in order:
        times[name].clear()
    for r in range(rounds):
        shift = r % len(order)
        gc.collect()
        gc.disable()
        for name in order[shift:] + order[:shift]:
            start = time.process_time()
            for _ in range(repeats[name]):
                steps[name]()
            times[name].append((time.process_time() - start) / repeats[name])
        gc.enable()
    return times


def ratio(times: dict[str, list[float]], name: str) -> float:
    return statistics.median(a / b for a, b in zip(times[name], times["plain"], strict=False))  # a long step ran once


def measure_kind(kind: str, rounds: int, with_peers: bool) -> tuple[float, dict[str, float | str]]:
    """Return plain milliseconds, and each candidate's ratio or why it failed."""
    probed = Probed(build(kind))
    steps: dict[str, Step] = {"plain": build(kind).step, "probed pass": probed.observe}
    steps |= {"with closer looks": probed.measure, "whole `probe`": probed.probe}
    failed: dict[str, str] = {}
    for name, (start, _) in PEERS.items() if with_peers else ():
        try:
            work = build(kind)
            step = start(work)
            step()
            work.model.zero_grad(set_to_none=True)
            steps[name] = step
        except ImportError as error:
            failed[name] = "not installed"
            print(f"skipped {name}: {error}", file=sys.stderr)
        except Exception as error:  # what a peer raises on this model is the result
            failed[name] = f"fails: {type(error).__name__}"
            print(f"{name} on {kind}: {str(error).splitlines()[0][:150]}", file=sys.stderr)
    times = interleave(steps, rounds)
    ratios: dict[str, float | str] = {name: ratio(times, name) for name in steps if name != "plain"}
    return 1e3 * statistics.median(times["plain"]), ratios | failed


def show_ratios(kinds: list[str], rounds_of: Callable[[str], int], with_peers: bool) -> bool:
    """Print the table of ratios; return whether the goals are met."""
    columns = {}
    for kind in kinds:
        columns[kind] = measure_kind(kind, rounds_of(kind), with_peers)
        print(f"{kind}: {columns[kind]}", file=sys.stderr, flush=True)
    print(f"\n| CPU time, × plain | {' | '.join(kinds)} | yields |\n|{' --- |' * (len(kinds) + 2)}")
    print(f"| plain, ms | {' | '.join(f'{columns[k][0]:.0f}' for k in kinds)} | |")
    print(f"| goal | {' | '.join(f'{GOALS[k]:g}' for k in kinds)} | |")
    yields = {
        "probed pass": "**gradcheck**: all statistics forward and backward, spine",
        "with closer looks": "and gradient through time, input dependence",
        "whole `probe`": "and snapshot, restoration, digest",
    }
    yields |= {name: what for name, (_, what) in PEERS.items()} if with_peers else {}
    for name, what in yields.items():
        cells = [columns[k][1][name] for k in kinds]
        print(f"| {name} | {' | '.join(f'{c:.2f}' if isinstance(c, float) else c for c in cells)} | {what} |")
    return all(float(columns[k][1]["probed pass"]) <= GOALS[k] for k in kinds)


def peak(kind: str, way: str) -> float:
    """Growth of the resident set over one step, MiB, in a process of its own."""
    command = [sys.executable, __file__, "--peak", kind, way]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def child_peak(kind: str, way: str) -> None:
    """Print how far the resident set rises above its start in one step; everything is loaded and warm before."""
    for work in (chain(3), build(kind)):
        steps = {"plain": work.step, "observe": Probed(work).observe, "probe": Probed(work).probe}
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        start = _status("VmRSS")
        steps[way]()
    print((_status("VmHWM") - start) / 1024)


def _status(key: str) -> int:
    """A line of /proc/self/status, KiB."""
    return int(next(line for line in open("/proc/self/status") if line.startswith(key)).split()[1])


def show_memory(kinds: list[str], processes: int) -> bool:
    """Print peak memory against plain; return whether the goal is met."""
    print("\n| peak memory of one step | plain, MiB | probed pass, × | whole `probe`, × |\n| --- | --- | --- | --- |")
    met = True
    for kind in kinds:
        plain, passed, whole = (
            statistics.median(peak(kind, way) for _ in range(processes)) for way in ("plain", "observe", "probe")
        )
        met = met and passed / plain <= PEAK_GOAL
        print(f"| {kind} | {plain:.0f} | {passed / plain:.2f} | {whole / plain:.2f} |", flush=True)
    return met


def show_linearity(sizes: tuple[int, ...]) -> bool:
    """Print the cost of probing per layer; return whether it stays the same."""
    print("\n| chain of `Linear(8, 8)`, layers | plain, µs a layer | probed, µs a layer |\n| --- | --- | --- |")
    costs = []
    for size in sizes:
        work = chain(size)
        times = interleave({"plain": work.step, "probed pass": Probed(work).observe}, 5)
        micro = {name: 1e6 * statistics.median(t) / size for name, t in times.items()}
        costs.append(micro["probed pass"])
        print(f"| {size} | {micro['plain']:.1f} | {micro['probed pass']:.1f} |", flush=True)
    return costs[-1] <= LINEAR_GOAL * costs[0]


def show_start(runs: int) -> bool:
    """Print wall times of fresh processes, interleaved; return whether the goals are met."""
    with tempfile.TemporaryDirectory() as folder:
        tiny = Path(folder) / "tiny.py"
        tiny.write_text(TINY)
        gradcheck = [sys.executable, "-m", "gradcheck_cli"]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "gradcheck --help": [*gradcheck, "--help"],
            "import torch": [sys.executable, "-c", "import torch"],
            "gradcheck scan": [*gradcheck, "scan", str(tiny)],
        }
        wall: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs + 1):
            for name, command in commands.items():
                start = time.perf_counter()
                done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
                wall[name].append(1e3 * (time.perf_counter() - start))
                if done.returncode:
                    raise SystemExit(f"{' '.join(command)} exits {done.returncode}:\n{done.stdout}\n{done.stderr}")
    medians = {name: statistics.median(times[1:]) for name, times in wall.items()}
    above = statistics.median(a - b for a, b in zip(wall["gradcheck scan"][1:], wall["import torch"][1:], strict=True))
    print("\n| fresh process, wall time | ms | goal |\n| --- | --- | --- |")
    for name, value in medians.items():
        print(f"| `{name}` | {value:.0f} | {HELP_GOAL if name == 'gradcheck --help' else ''} |")
    print(f"| scan of a tiny model above `import torch` | {above:.0f} | {SCAN_GOAL:.0f} |", flush=True)
    return medians["gradcheck --help"] <= HELP_GOAL and above <= SCAN_GOAL


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds, no GPT-2, no peers")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--only", choices=("time", "memory", "linear", "start"))
    parser.add_argument("--models", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak:
        child_peak(*options.peak)
        return 0
    kinds = [k for k in options.models if not (options.quick and k == "gpt2")]
    quick = options.quick
    parts: dict[str, Callable[[], bool]] = {
        "start": lambda: show_start(3 if quick else 9),
        "linear": lambda: show_linearity((500, 1000) if quick else (500, 1000, 2000, 5000)),
        "memory": lambda: show_memory(kinds, 1 if quick else 3),
        "time": lambda: show_ratios(kinds, lambda k: 3 if quick else ROUNDS[k], not (quick or options.no_peers)),
    }
    missed = [name for name, part in parts.items() if options.only in (None, name) and not part()]
    print(f"\ngoals missed: {', '.join(missed)}" if missed else "\nall goals met")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
