"""What the text of a target names, and where it lies in its project."""

from __future__ import annotations

import os
from pathlib import Path

from gradcheck_cli.settings import CHECKPOINTS

_FILES = (".py", ".pt2", ".torchscript", ".jit", *CHECKPOINTS)


def split(target: str) -> tuple[str, str]:
    """Split `model.py:net` and `package.module:net` into place and name; the name is empty where none is given."""
    place, colon, name = target.rpartition(":")
    return (place, name) if colon and not set(name) & set("/\\") else (target, "")


def is_file(place: str) -> bool:
    """Say whether a place is written as a file, rather than as a module to import."""
    return os.sep in place or "/" in place or place.endswith(_FILES)


def file_of(target: str) -> str:
    """Return the file that a target names; of a module the place where its file would be."""
    place, _ = split(target)
    return Path(place).as_posix() if is_file(place) else place.replace(".", "/") + ".py"


def project_root(folder: Path) -> Path:
    """Return the project that a folder belongs to: where `.git` is, else the nearest pyproject.toml, else the folder."""
    folder = folder.resolve()
    for marker in (".git", "pyproject.toml"):
        for above in (folder, *folder.parents):
            if (above / marker).exists():
                return above
    return folder


def moved(target: str, folder: Path) -> str:
    """Return the target with its file as seen from a folder, plainly written; the name of a module stays as it is."""
    place, name = split(target)
    if is_file(place):
        place = Path(os.path.relpath(place, folder)).as_posix()
    return f"{place}:{name}" if name else place


def seen_from_root() -> str:
    """Return the working directory as seen from the root of its project; "." when it is the root."""
    return Path(os.path.relpath(Path.cwd(), project_root(Path()))).as_posix()


def identity(target: str) -> str:
    """Return the target as it is the same from every folder and however its path is written: relative to its own project."""
    place, name = split(target)
    if not is_file(place):
        return target
    real = Path(os.path.realpath(place))
    return moved(f"{real}:{name}" if name else str(real), project_root(real.parent))
