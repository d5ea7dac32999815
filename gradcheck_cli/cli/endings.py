"""Explain how a worker ended that left no result, or a verdict without its trials."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from pathlib import Path

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.records import Report

_OVER_TIME = "E563"
STARTING = "starting"  # the phase of a worker that has not said what it does


def over_time(phase: str, limit: float, folder: Path, option: str = "--timeout") -> GradcheckError:
    """Build E563 with what was running when the time that an option grants was up."""
    return GradcheckError(
        _OVER_TIME,
        f"no verdict after {limit:g} s",
        f"time was up while {phase}",
        f"raise {option}, or scan a smaller batch",
        trace=_faults(folder),
    )


def explain_ending(status: int, phase: str, folder: Path) -> GradcheckError:
    """Build E564 or E565 from the exit status: negative for a signal."""
    trace = _faults(folder)
    if status == -signal.SIGKILL:
        return GradcheckError(
            "E564",
            f"the scan was killed while {phase}",
            "the system kills a process that takes too much memory",
            "use a smaller batch, or set --memory-limit to get the place where memory runs out",
            trace=trace,
        )
    if -status in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        return GradcheckError(
            "E565",
            f"the scan was ended while {phase}",
            f"the process got {signal.Signals(-status).name}, from outside or from the model's own code",
            "run it again; if it ends at the same place, see --traceback for the Python lines that led there",
            trace=trace,
        )
    if status < 0:
        return GradcheckError(
            "E565",
            f"native code crashed while {phase}",
            f"the process got {signal.Signals(-status).name}",
            "see --traceback for the Python lines that led there",
            trace=trace,
        )
    if phase == STARTING:
        return GradcheckError(
            "E565",
            "Python could not start the process of the scan",
            f"it ended with status {status} before any code of the model ran",
            "raise --memory-limit if one is set; else see the lines that Python printed",
            trace=trace,
        )
    return GradcheckError(
        "E565",
        f"the model's code ended the process while {phase}",
        f"it called os._exit or something like it (status {status}), so there is no result",
        "take the exit out of what runs while the model is built and called",
        trace=trace,
    )


def cut_short(report: Report, error: GradcheckError) -> Report:
    """Make the report of a scan whose trials ended with an error: the verdict stands, and it says what is missing."""
    why = f"{error.why}; {error.do}" if error.id == _OVER_TIME else error.what
    first, *others = report.profiles
    first = dataclasses.replace(first, gaps=(*first.gaps, f"what the suggestions do: {why}"))
    tried = {(trial.code, trial.layer, trial.remedies) for trial in report.trials}
    prescriptions = tuple(
        dataclasses.replace(p, reason="the trials were cut short")
        if p.edits and (p.code, p.layer, (p.remedy,)) not in tried
        else p
        for p in report.prescriptions
    )
    return dataclasses.replace(report, profiles=(first, *others), prescriptions=prescriptions)


def _faults(folder: Path) -> str | None:
    with contextlib.suppress(OSError):
        return (folder / "faults").read_text("utf-8", errors="backslashreplace") or None
    return None
