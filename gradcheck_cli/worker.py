"""The process that runs a scan: `python -m gradcheck_cli.worker FOLDER TASK`. TASK is "scan" or "layers".

FOLDER holds `settings.json`, written by the parent. The worker writes `phase.json` (what runs now), `faults` (native
tracebacks), `interim.json` (the verdict, before trials that may never end) and `result.json`: {"report": ...},
{"outline": ...} or {"error": ...}. The parent believes these files and not the exit status, because the user's file may
end the process as it likes. It is no sandbox: it limits accidents.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradcheck_cli import phase
from gradcheck_cli.errors import GradcheckError, message
from gradcheck_cli.records import from_dict, to_dict
from gradcheck_cli.settings import Settings

_THREAD_STACK = 8 << 20  # bytes; glibc would give every thread the 1 GiB that the main thread may grow to
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Scan as the settings say, leave the result in the folder, and end at once, whatever threads are left."""
    folder, task = Path(sys.argv.pop(1)), sys.argv.pop(1)  # the arguments of the process are none of the model's
    _die_with_parent()
    _shrink_thread_stacks()
    faults = (folder / "faults").open("w")
    faulthandler.enable(faults)
    faulthandler.register(signal.SIGTERM, faults, chain=True)  # the parent sends it when time is up
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what was printed before a crash is seen
    phase.listen(
        lambda entered: _write(folder / "phase.json", to_dict(entered)),
        lambda report: _write(folder / "interim.json", {"report": to_dict(report)}),
    )
    result = _result(folder, task)
    phase.enter("writing the result")
    _write(folder / "result.json", result)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(0)


def _result(folder: Path, task: str) -> dict[str, Any]:
    try:
        settings = from_dict(Settings, json.loads((folder / "settings.json").read_text("utf-8")))
        phase.enter("importing torch")
        _import_torch(settings)
        from gradcheck_cli import pipeline

        phase.enter("scanning")
        if task == "layers":
            return {"outline": to_dict(pipeline.list_layers(settings))}
        return {"report": to_dict(pipeline.scan(settings))}
    except GradcheckError as error:
        return {"error": error.to_dict()}
    except BaseException as error:
        return {"error": _translate(error).to_dict()}


def _import_torch(settings: Settings) -> None:
    try:
        import torch
    except ImportError as error:
        if settings.memory_limit is not None and "failed to map" in message(error):
            raise GradcheckError(
                "E564",
                "there is not enough memory to import torch",
                message(error),
                "raise --memory-limit; torch alone needs 0.6",
            ) from error
        raise GradcheckError(
            "E570",
            "torch cannot be imported",
            f"{message(error)} (in {sys.prefix})",
            "install torch 2.10 or newer in the environment that gradcheck runs in",
        ) from error
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)


def _translate(error: BaseException) -> GradcheckError:
    """Give what no stage has translated its id; the place of a fault of ours is in the trace."""
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError) or "can't allocate memory" in message(error):
        return GradcheckError(
            "E564",
            "the scan ran out of memory",
            message(error).splitlines()[0] if message(error) else "an allocation failed",
            "use a smaller batch, or raise --memory-limit",
            trace=trace,
        )
    if isinstance(error, RecursionError):
        return GradcheckError(
            "E566", "a function calls itself without end", message(error), "see --traceback for the function", trace=trace
        )
    if not isinstance(error, Exception):  # SystemExit, KeyboardInterrupt: nothing of ours lets one out
        return GradcheckError(
            "E561",
            f"the model's code ended the program ({type(error).__name__})",
            "a model must return from its forward pass",
            "see --traceback for the line, and take the exit out",
            trace=trace,
        )
    return GradcheckError(
        "E599",
        f"gradcheck itself failed: {type(error).__name__}: {message(error)}".rstrip(),
        "this is a fault of gradcheck, not of your model",
        "please report it with the output of --traceback",
        trace=trace,
    )


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """Write so that a reader sees the old document or the new one, never a part."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(document, allow_nan=False), "utf-8")
    os.replace(fresh, path)


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the parent dies, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _shrink_thread_stacks() -> None:
    """Undo for other threads what the large stack limit does to their default size (glibc only)."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "pthread_setattr_default_np"):
        return
    attributes = ctypes.create_string_buffer(256)  # pthread_attr_t is 56 bytes on 64-bit Linux
    libc.pthread_attr_init(attributes)
    libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(_THREAD_STACK))
    libc.pthread_setattr_default_np(attributes)


if __name__ == "__main__":
    main()
