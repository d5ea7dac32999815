"""Run the user's file or import the user's module, without its side effects reaching ours.

The file runs with its own directory first on sys.path, the given arguments as sys.argv, an empty stdin, its prints on stderr
and no `.pyc` written. torch is imported before the directory is inserted, so that a neighbour called `cuda.py` cannot break it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType

import numpy as np
import torch

from gradcheck_cli import phase
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import import_errors
from gradcheck_cli.loading.frames import is_user_file, left, shown_path
from gradcheck_cli.loading.overlay import place_of
from gradcheck_cli.loading.target import Target
from gradcheck_cli.settings import Settings

_added: list[str] = []  # what this process has on sys.path because of us
_IMPORT_SHARE = 0.8  # of the time limit: what is left suffices to report where the import was
_BEFORE_IMPORT = 5.0  # seconds of a short limit that starting Python and importing torch may have used up


class ImportTooLong(BaseException):
    """Raised inside the user's code by the timer; a BaseException, so that `except Exception` there lets it through."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


def seed_everything(seed: int) -> None:
    """Seed torch, numpy and random, so that two scans build the same model."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@contextlib.contextmanager
def user_surroundings(target: Target, settings: Settings, base: Path) -> Iterator[None]:
    """Give the user's code its own sys.path, argv, stdin and working directory; all but sys.path is put back."""
    root = target.path.resolve().parent if target.path is not None else base
    _search_first(root, base)
    saved = sys.argv, sys.stdin, sys.dont_write_bytecode, Path.cwd()
    sys.argv = [str(target.path or target.module), *settings.script_args]
    sys.stdin = io.StringIO()  # input() ends in EOFError instead of waiting for ever
    sys.dont_write_bytecode = True
    try:
        if settings.cwd is not None:
            _enter(base / settings.cwd, settings.cwd)
        with left(base), contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.argv, sys.stdin, sys.dont_write_bytecode, cwd = saved
        os.chdir(cwd)


def _enter(path: Path, shown: str) -> None:
    if not path.is_dir():
        raise GradcheckError(
            "E111", f"no such directory: `{shown}`", "--cwd names the directory the file runs in", "check --cwd"
        )
    os.chdir(path)


def _search_first(root: Path, base: Path) -> None:
    """Put the file's directory in front, as `python file.py` does, and the working directory last, as `python -m` has it."""
    for added in _added:  # by a scan before this one in the same process: its neighbours are none of ours
        with contextlib.suppress(ValueError):
            sys.path.remove(added)
    _added.clear()
    sys.path.insert(0, str(root))
    _added.append(str(root))
    if str(base) not in sys.path:
        sys.path.append(str(base))
        _added.append(str(base))


def run_target(target: Target, settings: Settings, base: Path) -> ModuleType:
    """Execute the target's module; raises E104 to E112, E118 and E126 for what can go wrong in it."""
    phase.enter(f"importing {target.text}")
    try:
        with _time_limit(_import_limit(settings.timeout), base):
            return _run_file(target.path) if target.path is not None else importlib.import_module(target.module)
    except ImportTooLong as exc:
        raise import_errors.too_long(target, settings, exc.where) from None
    except (KeyboardInterrupt, GradcheckError):
        raise
    except BaseException as exc:  # SystemExit of the user's file is no exit of ours
        raise import_errors.translate_import(exc, target, base) from exc


def _import_limit(timeout: float) -> float:
    """Seconds the import may take, so that it is told apart from a scan that runs out of time."""
    return max(min(timeout * _IMPORT_SHARE, timeout - _BEFORE_IMPORT), timeout / 4)


def _run_file(path: Path) -> ModuleType:
    data = import_errors.read_source(place_of(path))
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__.pop("__cached__", None)
    sys.modules[name] = module  # dataclasses, pickle and typing look a class's module up here
    code = compile(data, str(path), "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return module


def _module_name(path: Path) -> str:
    """The file's stem, as an import by a neighbour would call it, unless another module has that name."""
    stem = path.stem
    taken = sys.modules.get(stem)
    if not stem.isidentifier() or (taken is not None and not _same_file(taken, path)) or stem in sys.stdlib_module_names:
        return f"gradcheck_target_{''.join(c if c.isalnum() else '_' for c in stem)}"
    return stem


def _same_file(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    # a scan in the same process before this one ran another user file of this name: that one is no longer needed
    return file is not None and (Path(file).resolve() == path.resolve() or is_user_file(file))


@contextlib.contextmanager
def _time_limit(seconds: float, base: Path) -> Iterator[None]:
    """Raise ImportTooLong in the user's code; without a main thread or timers the worker's own limit still holds."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signum: int, frame: FrameType | None) -> None:
        raise ImportTooLong(_line_of(frame, base))

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _line_of(frame: FrameType | None, base: Path) -> str:
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{shown_path(frame.f_code.co_filename, base)}:{frame.f_lineno}" if frame is not None else ""
