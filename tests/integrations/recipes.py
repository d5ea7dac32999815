"""What the tests of recipes share: blocks of a page, projects to run them in, and a shell as a CI has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "tests" / "cli" / "stand_in"

# Model files for where nothing hangs on what is measured: the pipeline is stood in for, and calls their `scan`.
CANNED = {
    "healthy": "from canned_reports import healthy\ndef scan(settings):\n    return healthy()\n",
    "sick": "from canned_reports import sick\ndef scan(settings):\n    return sick()\n",
    "broken": (
        "from gradcheck_cli.errors import GradcheckError\n"
        "def scan(settings):\n"
        '    raise GradcheckError("E561", "the forward pass failed", "shapes differ", "mend it", where="model.py:2")\n'
    ),
}
EXIT_CODES = {"healthy": 0, "sick": 1, "broken": 2}
# What an action runs `shell: bash` with, and what a workflow's plain `run` is run with.
SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")


def blocks(page: str, mark: str, language: str) -> list[str]:
    """Return the code blocks of a page below an invisible comment with this word."""
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"<!-- {re.escape(mark)} -->\n```{language}\n(.*?)```", text, re.DOTALL)


def project(folder: Path, model: str, settings: str = 'targets = ["model.py"]') -> Path:
    """Lay a project of one model with its settings, in a folder that is the root of its repository."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    (folder / "model.py").write_text(model, "utf-8")
    (folder / "pyproject.toml").write_text(f"[tool.gradcheck]\n{settings}\n", "utf-8")
    return folder


def environment(folder: Path, *, stand_in: bool = True, **more: str) -> dict[str, str]:
    """Return the environment of a CI: the installed commands, a folder for what is temporary, nothing of the caller's."""
    commands = Path(sys.executable).parent
    given = {
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
    }
    return {**given, **({"PYTHONPATH": str(STAND_IN)} if stand_in else {}), **more}


def shell(script: str, cwd: Path, env: dict[str, str], program: tuple[str, ...] = SHELL) -> subprocess.CompletedProcess[str]:
    """Run a script as a CI does: from a file, with nothing to read."""
    file = cwd.parent / "script.sh"
    file.write_text(script, "utf-8")
    return subprocess.run(
        [*program, str(file)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def without_pip(folder: Path, env: dict[str, str]) -> dict[str, str]:
    """Put a `pip` first on the path that only writes down what it was asked to install."""
    folder.mkdir(exist_ok=True)
    pip = folder / "pip"
    pip.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{folder}/asked"\n', "utf-8")
    pip.chmod(0o755)
    return {**env, "PATH": f"{folder}{os.pathsep}{env['PATH']}"}
