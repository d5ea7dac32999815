"""Scan targets, each in a worker of its own, some of them at the same time."""

from __future__ import annotations

import dataclasses
import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradcheck_cli.cli.progress import show_print, spinner
from gradcheck_cli.cli.stderr import show_error
from gradcheck_cli.errors import GradcheckError

if TYPE_CHECKING:  # imported when a scan runs, so that --help stays quick
    from gradcheck_cli.cli.launching import Worker
    from gradcheck_cli.configuration import Configured
    from gradcheck_cli.phase import Phase
    from gradcheck_cli.records import Report, Scan


@dataclass(frozen=True, slots=True)
class Ended:
    """How the scan of one target ended: with a report, or with the error that kept it from one."""

    target: str
    report: Report | None = None
    error: GradcheckError | None = None

    def scan(self) -> Scan:
        """Return what reports tell of it."""
        from gradcheck_cli.records import Scan

        return Scan(target=self.target, report=self.report, error=self.error.failure() if self.error else None)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with what was known by then: a report of every target that had a verdict."""

    def __init__(self, ended: Sequence[Ended]) -> None:
        super().__init__()
        self.ended = tuple(ended)


def measure(configured: Configured) -> Report:
    """Scan one target. Raises its GradcheckError where there is no verdict, Interrupted on Ctrl-C."""
    ended = scan_targets([configured])[0]
    if ended.report is None:
        assert ended.error is not None
        raise ended.error
    return ended.report


def scan_targets(targets: Sequence[Configured]) -> tuple[Ended, ...]:
    """Scan every target and return how each ended, in their order. Raises Interrupted on Ctrl-C."""
    first = targets[0]
    runs = [_Run(target, _printer(target, several=len(targets) > 1)) for target in targets]
    shown = first.settings.target if len(runs) == 1 else f"{len(runs)} targets"
    with (
        spinner(shown, functools.partial(_overall, runs), os.environ, wanted=not first.display.quiet),
        ThreadPoolExecutor(first.gate.jobs) as pool,
    ):
        futures = [pool.submit(run.ended) for run in runs]
        try:
            if "text" in first.display.format:  # imported while the workers work
                import gradcheck_cli.reporting.text  # noqa: F401
            wait(futures)
            return tuple(future.result() for future in futures)
        except BaseException as end:  # also the exit on a signal: the pool would wait for the workers
            for run in runs:
                run.stop()
            wait(futures)
            if isinstance(end, KeyboardInterrupt):
                raise Interrupted([future.result() for future in futures]) from None
            raise


def _printer(target: Configured, *, several: bool) -> Callable[[str], None] | None:
    if target.display.quiet:
        return None
    return functools.partial(show_print, origin=target.settings.target if several else "")


class _Run:
    """The scan of one target, which another thread can follow and stop."""

    _starting = threading.Lock()  # a process is made by one thread at a time: what its limits are set with is not thread-safe

    def __init__(self, configured: Configured, on_output: Callable[[str], None] | None) -> None:
        self._configured = configured
        self._on_output = on_output
        self._worker: Worker | None = None
        self._stopped = threading.Event()
        self.done = False

    def ended(self) -> Ended:
        """Run the worker to its end. An end that comes after the verdict takes the trials and not the verdict."""
        target = self._configured.settings.target
        try:
            return Ended(target, report=self._report())
        except GradcheckError as error:
            return Ended(target, error=error)
        finally:
            self.done = True

    def _report(self) -> Report:
        from gradcheck_cli.cli.endings import cut_short
        from gradcheck_cli.cli.launching import Worker

        stopped = GradcheckError("E573", "interrupted", "Ctrl-C", "run it again")
        with self._starting:
            if self._stopped.is_set():
                raise stopped
            self._worker = Worker(self._configured.settings, self._on_output)
        with self._worker as worker:
            try:
                return worker.report()
            except GradcheckError as error:
                interim = worker.interim()
                reason = stopped if self._stopped.is_set() else error
                if interim is None:
                    raise reason from None
                if self._configured.display.traceback and reason is error:
                    show_error(error, with_trace=True)
                return cut_short(interim, reason)

    def stop(self) -> None:
        """End the worker, now or as soon as it would start."""
        self._stopped.set()
        with self._starting:
            worker = self._worker
        if worker is not None:
            worker.stop()

    def phase(self) -> Phase | None:
        """Return what runs now; None before and after."""
        return self._worker.phase() if self._worker is not None and not self.done else None

    @property
    def target(self) -> str:
        return self._configured.settings.target


def _overall(runs: Sequence[_Run]) -> Phase:
    """Return the phase of the only run, or which of several runs and how many are done."""
    from gradcheck_cli.phase import Phase

    running = [(run.target, phase) for run in runs if (phase := run.phase())]
    if len(runs) == 1:
        return running[0][1] if running else Phase("starting")
    said = f"{running[0][0]}: {running[0][1].name}" if running else "starting"
    return dataclasses.replace(Phase(said), done=sum(run.done for run in runs), of=len(runs))
