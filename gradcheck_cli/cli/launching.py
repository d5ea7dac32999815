"""Run a scan in a process of its own, and find out how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Literal

from gradcheck_cli.cli.endings import STARTING, explain_ending, over_time
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.phase import Phase
from gradcheck_cli.records import Outline, Report, from_dict, to_dict
from gradcheck_cli.settings import Settings

_STACK = 1 << 30  # bytes; 300,000 chained graph nodes are freed without a crash
_POLL = 0.5  # seconds between looks at whether trials have begun
_TRIALS_GRACE = 10.0  # seconds that the last trial may take beyond the budget, to end and to put the model back
_GRACE = 2.0  # seconds between asking the worker to end and killing it
_RESULT_CAP = 256 << 20  # bytes; a report of 5,000 layers has about 20 MB
_OUTPUT_CAP = 1 << 20  # bytes of the model's own prints that are passed on


class Worker:
    """A scan that runs in a child with its own session, so that one signal reaches it and all it has started."""

    def __init__(
        self,
        settings: Settings,
        on_output: Callable[[str], None] | None,
        task: Literal["scan", "layers"] = "scan",
    ) -> None:
        self._settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="gradcheck-")
        self.path = Path(self._folder.name)
        (self.path / "settings.json").write_text(json.dumps(to_dict(settings)), "utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gradcheck_cli.worker", str(self.path), task],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Threads that wait by spinning cost a busy machine three times the whole scan.
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
            preexec_fn=lambda: _limit(settings.memory_limit),
        )
        self._ended = threading.Event()
        self._output = threading.Thread(target=_pass_on, args=(self._process.stdout, on_output), daemon=True)
        self._output.start()
        threading.Thread(target=self._reap, daemon=True).start()

    def _reap(self) -> None:
        self._process.wait()
        self._ended.set()

    def phase(self) -> Phase:
        """Return what the worker said last that it does."""
        with contextlib.suppress(OSError, ValueError):
            return from_dict(Phase, json.loads((self.path / "phase.json").read_text("utf-8")))
        return Phase(STARTING)

    def report(self) -> Report:
        """Wait for the result. Raises what the worker reports, E563 when time is up, E564/E565 when it was killed."""
        return from_dict(Report, self._result()["report"])

    def outline(self) -> Outline:
        """Wait for the layers of the model. Raises as `report` does."""
        return from_dict(Outline, self._result()["outline"])

    def _result(self) -> dict[str, Any]:
        self._wait()
        result = self._read("result.json")
        self._silence()
        if result is None:
            raise explain_ending(self._process.returncode, self.phase().name, self.path)
        if "error" in result:
            raise GradcheckError(**result["error"])
        return result

    def _wait(self) -> None:
        """Wait for the end; trials keep to their budget themselves, unless one call of the user's code does not return."""
        limit, option = self._settings.timeout, "--timeout"
        end = time.monotonic() + limit
        while not self._ended.wait(min(_POLL, max(end - time.monotonic(), 0.0))):
            if time.monotonic() >= end:
                self.stop()
                raise over_time(self.phase().name, limit, self.path, option)
            allowed = 2 * self._settings.try_budget + _TRIALS_GRACE
            if time.monotonic() + allowed < end and (self.path / "interim.json").exists():
                limit, option, end = allowed, "--try-budget", time.monotonic() + allowed

    def interim(self) -> Report | None:
        """Return the verdict of a worker that has left no result, if it had reached one before its trials."""
        left = self._read("interim.json")
        return from_dict(Report, left["report"]) if left else None

    def _read(self, name: str) -> dict[str, Any] | None:
        file = self.path / name
        try:
            if file.stat().st_size > _RESULT_CAP:
                raise GradcheckError(
                    "E599",
                    "the result is too large to read",
                    f"it has more than {_RESULT_CAP >> 20} MiB",
                    "please report it",
                )
            result = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return result if isinstance(result, dict) and result.keys() & {"report", "outline", "error"} else None

    def stop(self) -> None:
        """End the worker and everything it has started: first by asking, then by force."""
        if not self._ended.is_set():
            self._signal(signal.SIGTERM)
            self._ended.wait(_GRACE)
        self._silence()

    def _silence(self) -> None:
        """Kill what is left of the worker's group, and wait until its last line of output has been passed on."""
        self._signal(signal.SIGKILL)
        self._ended.wait(_GRACE)
        self._output.join(_GRACE)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def close(self) -> None:
        """Leave nothing behind: neither process nor folder."""
        self.stop()
        self._folder.cleanup()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _limit(memory: float | None) -> None:
    """Set the limits of the child between fork and exec: the main thread's stack is only laid out large before exec."""
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = _STACK if hard == resource.RLIM_INFINITY else min(_STACK, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory is not None:
        most = int(memory * (1 << 30))
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _pass_on(stream: IO[bytes] | None, on_output: Callable[[str], None] | None) -> None:
    """Hand the model's prints on, line by line; what exceeds the cap is read and dropped, so the model never blocks."""
    seen = 0
    for line in stream or ():
        seen += len(line)
        if on_output is not None and seen <= _OUTPUT_CAP:
            on_output(line.decode("utf-8", "backslashreplace").rstrip("\r\n"))
