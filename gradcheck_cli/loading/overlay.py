"""Read a file's text from elsewhere: so a patch is tried as if it stood in the user's file, which stays as it is.

`__file__`, tracebacks, neighbours and relative imports are those of the original. What looks the source up later
(inspect, linecache) sees the patched text too.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

_places: dict[str, str] = {}  # real path of a file → real path of the text that stands in for it


def overlay(files: Mapping[str, str]) -> None:
    """From now on read these files' texts from the places given; without any, as they are."""
    for file in _places:
        linecache.cache.pop(file, None)
    _places.clear()
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    if not files:
        return
    _places.update({os.path.realpath(file): os.path.realpath(place) for file, place in files.items()})
    for file, place in _places.items():
        lines = Path(place).read_text("utf-8-sig").splitlines(keepends=True)
        linecache.cache[file] = (sum(map(len, lines)), None, lines, file)  # no time of change: never compared with the disk
    sys.meta_path.insert(0, _Finder())


def place_of(file: str | os.PathLike[str]) -> Path:
    """Return where the text of a file is to be read."""
    return Path(_places.get(os.path.realpath(file), file))


class _Finder:
    """Finds what Python's own finder for sys.path finds, with a loader that reads from the overlay."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin is None or os.path.realpath(spec.origin) not in _places:
            return None
        spec.loader = _Loader(fullname, spec.origin)
        spec.cached = None
        return spec


class _Loader(SourceFileLoader):
    def get_data(self, path: str) -> bytes:
        return place_of(path).read_bytes()

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)  # no .pyc: one there is of the original
