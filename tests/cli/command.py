"""Run the installed `gradcheck` in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GRADCHECK = Path(sys.executable).with_name("gradcheck")
STAND_IN = Path(__file__).parent / "stand_in"
_MEANINGFUL = ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV")


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which nothing of the caller's terminal, language or settings is left."""
    kept = {name: os.environ[name] for name in _MEANINGFUL if name in os.environ}
    # With other tests on the cores, a second thread only waits.
    return {"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", **kept, **more}


def gradcheck(
    *arguments: str, cwd: Path, stand_in: bool = False, env: dict[str, str] | None = None, **more: object
) -> subprocess.CompletedProcess[str]:
    """Run to the end. With `stand_in` the worker calls `scan(settings)` of the target file instead of measuring."""
    variables = environment(**(env or {}))
    if stand_in:
        variables["PYTHONPATH"] = str(STAND_IN)
    return subprocess.run(
        [str(GRADCHECK), *arguments],
        cwd=cwd,
        env=variables,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        **more,
    )
