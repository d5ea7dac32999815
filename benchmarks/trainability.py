"""How well gradcheck's facts at initialisation predict whether a network trains.

    python benchmarks/trainability.py            probe the grid, compare with the stored outcomes (a few minutes)
    python benchmarks/trainability.py --train    train the grid again first and store the outcomes
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch
from small_networks import RATES, grid, grid_hash, task, tune

OUTCOMES = Path(__file__).parent / "data" / "trainability.json"


def train_all() -> None:
    """Train every network of the grid with tuned SGD and Adam on one thread, and store the outcomes."""
    x, y = task()
    started = time.process_time()
    rows = []
    for setting in grid():
        outcome = {optimizer.lower(): tune(setting, optimizer, x, y) for optimizer in RATES}
        rows.append({"name": setting.name, **asdict(setting), **outcome})
        print(f"{len(rows):4d} {time.process_time() - started:6.0f} s  {setting.name}  {outcome}", flush=True)
    head = {"grid": grid_hash(), "torch": torch.__version__, "cpu_seconds": round(time.process_time() - started)}
    body = ",\n".join(json.dumps(row) for row in rows)
    OUTCOMES.write_text(json.dumps(head)[:-1] + ', "networks": [\n' + body + "\n]}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.train:
        train_all()


if __name__ == "__main__":
    main()
