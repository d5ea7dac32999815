"""What trials cost: time of whole processes of `gradcheck scan` with them over `--no-try`.

    python benchmarks/trial_cost.py             nine rounds
    python benchmarks/trial_cost.py --quick     three

CPU time of fresh processes with one thread, which is their wall time on an idle machine; the two ways in turn, a figure is
the median over rounds of one over the other. Exits 1 if the
deep sigmoid network takes five times as long or more, or a healthy one longer by a tenth.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "sample_models"
GOALS = {"deep_sigmoid_mlp": 5.0, "plain_mlp": 1.1}  # times the scan without trials


def seconds(sample: str, *flags: str) -> float:
    """CPU time of one scan in processes of its own, the worker's included."""
    command = [sys.executable, "-m", "gradcheck_cli", "scan", str(SAMPLES / f"{sample}.py"), "--quiet", *flags]
    start = _spent()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} exits {done.returncode}:\n{done.stderr}")
    return _spent() - start


def _spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    rounds = 3 if parser.parse_args().quick else 9
    print("| sample | `--no-try`, s | with trials, s | ratio | goal |\n| --- | --- | --- | --- | --- |")
    met = True
    for sample, goal in GOALS.items():
        seconds(sample)  # files and caches are warm from here on
        pairs = [(seconds(sample, "--no-try"), seconds(sample)) for _ in range(rounds)]
        ratio = statistics.median(b / a for a, b in pairs)
        plain, tried = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"| {sample} | {plain:.2f} | {tried:.2f} | {ratio:.2f} | {goal:g} |", flush=True)
        met = met and ratio < goal
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
