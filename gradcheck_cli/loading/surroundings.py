"""Measure in the surroundings that the user's file ran in: its working directory, arguments and empty stdin."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from torch import nn

from gradcheck_cli.loading.base import Batch, Objective, Outcome
from gradcheck_cli.loading.frames import left
from gradcheck_cli.loading.program_end import as_error


def in_surroundings(objective: Objective) -> Objective:
    """The objective, each run of which sees argv and working directory as they are now. Put back after every run."""
    argv, folder, compute = list(sys.argv), Path.cwd(), objective.compute

    def run(model: nn.Module, batch: Batch) -> Outcome:
        with _as_before(argv, folder), as_error():
            return compute(model, batch)

    return dataclasses.replace(objective, compute=run)


@contextlib.contextmanager
def _as_before(argv: list[str], folder: Path) -> Iterator[None]:
    saved = sys.argv, sys.stdin, Path.cwd()
    sys.argv, sys.stdin = list(argv), io.StringIO()
    with left(saved[2]):
        os.chdir(folder)
        try:
            yield
        finally:
            sys.argv, sys.stdin, before = saved
            os.chdir(before)
