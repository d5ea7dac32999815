"""The user's files as they are read for a patch, and as they are written back."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import sysconfig
import tempfile
import tokenize
from dataclasses import dataclass
from pathlib import Path

from gradcheck_cli.fixing.draft import CannotPatch

_BOM = b"\xef\xbb\xbf"
_LIBRARIES = tuple(os.path.realpath(p) + os.sep for key in ("stdlib", "platstdlib") if (p := sysconfig.get_path(key)))


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was read: its text without the byte order mark, line ends as they are, and a digest of its bytes."""

    path: Path
    text: str
    marked: bool
    digest: str

    def encode(self, text: str) -> bytes:
        return (_BOM if self.marked else b"") + text.encode("utf-8")


class Sources:
    """Files under the names that sites give them, each read once."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._read: dict[str, Source] = {}

    def text(self, name: str) -> str:
        """Return a file's text; raises CannotPatch for one that is none of the user's, or not UTF-8."""
        return self.source(name).text

    def source(self, name: str) -> Source:
        if name not in self._read:
            self._read[name] = _source(name, self._base / name)
        return self._read[name]


def _source(name: str, path: Path) -> Source:
    real = os.path.realpath(path)
    if {"site-packages", "dist-packages"} & set(Path(real).parts) or real.startswith(_LIBRARIES):
        raise CannotPatch(f"`{name}` belongs to an installed package")
    if path.suffix != ".py":
        raise CannotPatch(f"`{name}` is no Python source")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CannotPatch(f"`{name}` cannot be read: {error.strerror}") from None
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        if encoding not in ("utf-8", "utf-8-sig"):
            raise CannotPatch(f"`{name}` is encoded in {encoding}, and only UTF-8 is patched")
        text = data.removeprefix(_BOM).decode("utf-8")
    except (SyntaxError, UnicodeDecodeError):
        raise CannotPatch(f"`{name}` is not UTF-8 text") from None
    return Source(path=path, text=text, marked=data.startswith(_BOM), digest=digest(data))


def digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def check_unchanged(source: Source) -> None:
    """Raise CannotPatch when the file has changed since it was read, or cannot be written."""
    path = Path(os.path.realpath(source.path))
    try:
        if digest(path.read_bytes()) != source.digest:
            raise CannotPatch("it has changed since it was read")
    except OSError as error:
        raise CannotPatch(f"it cannot be read: {error.strerror}") from None
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        raise CannotPatch("it is write-protected")


def write(source: Source, text: str) -> Path | None:
    """Put the new text in the file's place, as a whole or not at all; returns the backup, None where git keeps the old text.

    A link stays one: the file it leads to is written. Raises CannotPatch as `check_unchanged`.
    """
    check_unchanged(source)
    path = Path(os.path.realpath(source.path))
    try:
        backup = None if _clean_in_git(path) else _back_up(path, path.read_bytes())
        _replace(path, source.encode(text))
    except OSError as error:
        raise CannotPatch(f"it cannot be written: {error.strerror}") from None
    return backup


def _replace(path: Path, data: bytes) -> None:
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(fresh, path.stat().st_mode & 0o7777)
        os.replace(fresh, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise


def _back_up(path: Path, data: bytes) -> Path:
    """Keep the old bytes and mode beside the file, under the first name that is free."""
    number = 0
    while True:
        place = path.with_name(f"{path.name}.orig{f'.{number}' if number else ''}")
        with contextlib.suppress(FileExistsError):
            with place.open("xb") as stream:
                stream.write(data)
            os.chmod(place, path.stat().st_mode & 0o7777)
            return place
        number += 1


def _clean_in_git(path: Path) -> bool:
    """Say whether git has the file as it is now."""
    try:
        known = _git(path, "ls-files", "--error-unmatch", "--", path.name)
        state = _git(path, "status", "--porcelain", "--", path.name)
    except OSError:
        return False
    return known.returncode == 0 and state.returncode == 0 and not state.stdout.strip()


def _git(path: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Ask git, which shall run no program of the repository's and take no lock for it."""
    command = ["git", "-c", "core.fsmonitor=false", "--no-optional-locks", "-C", str(path.parent), *arguments]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
