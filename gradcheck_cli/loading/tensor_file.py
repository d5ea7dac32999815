"""Read tensors from a file that may come from anywhere: nothing in it is run, and its size is checked before it is unpacked."""

from __future__ import annotations

import json
import pickle
import stat
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.frames import one_line
from gradcheck_cli.loading.target import missing_file, program_file

_MOST_MEMBERS = 100_000
_MOST_EXPANSION = 2.0  # torch stores uncompressed, so an archive never holds much more than its own size
_SAFE_SINCE = (2, 6)  # weights_only=True before that could be made to run code (CVE-2025-32434)
_MOST_HEADER = 100 * 2**20  # bytes; the limit of the safetensors format
_STARTS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "fetch it with git lfs pull"),
    (b"\x1f\x8b", "gzip-compressed", "unpack it with gunzip first"),
    (b"<!doctype", "an HTML page", "the download went wrong: fetch the file itself"),
    (b"<html", "an HTML page", "the download went wrong: fetch the file itself"),
    (b"\x89hdf", "an HDF5 file", "Keras and h5py files are not read: save a state_dict with torch.save"),
)


def read_tensor_file(path: Path, shown: str, *, trust_pickle: bool) -> Any:
    """What a .safetensors or torch.save file holds; raises E230 to E238."""
    start = _checked_start(path, shown)
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path, shown)
    if start[:4] == b"PK\x03\x04":
        _check_archive(path, shown)
    elif start[:1] != b"\x80":  # the first byte of a binary pickle
        raise _unreadable(
            shown, "not a file that torch.save wrote", f"it begins with {start[:12]!r}", "save it again with torch.save"
        )
    return _read_torch(path, shown, trust_pickle)


def _unreadable(shown: str, what: str, why: str, do: str) -> GradcheckError:
    return GradcheckError("E232", f"`{shown}` is {what}", why, do)


def _checked_start(path: Path, shown: str) -> bytes:
    """The first bytes of a regular, readable, non-empty file that is nothing else by its first bytes."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise GradcheckError(
                "E238", f"`{shown}` is not a regular file", "it is a directory, a pipe or a device", "name a file"
            )
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError:
        raise missing_file("E238", shown, path, "file") from None
    except PermissionError as exc:
        raise GradcheckError("E238", f"`{shown}` cannot be read", one_line(exc), "check the file's permissions") from None
    if not start:
        raise _unreadable(shown, "empty", "it has 0 bytes", "save or download it again")
    for magic, what, advice in _STARTS:
        if start.lower().startswith(magic):
            raise _unreadable(shown, what, f"it begins with {start[: len(magic)]!r}", advice)
    return start


def _check_archive(path: Path, shown: str) -> None:
    """Refuse what torch.save does not write, by the archive's directory alone: bombs, truncation, programs."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile as exc:
        raise _unreadable(shown, "truncated", one_line(exc), "save or download it again") from None
    total, size = sum(m.file_size for m in members), path.stat().st_size
    pickles = Counter(m.filename for m in members if m.filename.endswith("data.pkl"))
    compressed = [m.filename for m in members if m.compress_type != zipfile.ZIP_STORED]
    names = [m.filename.partition("/")[2] or m.filename for m in members]
    if any(n.startswith("code/") for n in names) and "constants.pkl" in names:
        raise program_file(path, shown, torchscript=True)
    if "archive_format" in names or any(n.startswith(("models/", "serialized_exported_program")) for n in names):
        raise program_file(path, shown)
    reason = None
    if compressed:
        reason = f"{len(compressed)} of its {len(members)} records are compressed; torch.save does not compress"
    elif total > _MOST_EXPANSION * size:
        reason = f"it claims {total} bytes and is {size} bytes long"
    elif len(members) > _MOST_MEMBERS:
        reason = f"it has {len(members)} records"
    elif any(count > 1 for count in pickles.values()):
        reason = "it has two records called data.pkl"
    if reason is not None:
        raise GradcheckError(
            "E233",
            f"`{shown}` is not an archive that torch.save writes",
            reason,
            "save it again with torch.save, or use safetensors",
        )


def _read_torch(path: Path, shown: str, trust_pickle: bool) -> Any:
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < _SAFE_SINCE and not trust_pickle:
        raise GradcheckError(
            "E237",
            f"torch {torch.__version__} cannot read `{shown}` safely",
            "before 2.6 a crafted file could run code even with weights_only=True (CVE-2025-32434)",
            "upgrade torch, or save the weights as safetensors",
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except pickle.UnpicklingError as exc:
        raise _refused(path, shown, exc) from None
    except Exception as exc:  # torch.load of a damaged file raises KeyError, EOFError, RuntimeError ...
        if trust_pickle and isinstance(exc, (ImportError, AttributeError)):
            raise GradcheckError(
                "E230",
                f"`{shown}` needs code that is not here",
                one_line(exc),
                "run from the directory where its classes can be imported, or save a state_dict",
            ) from None
        raise _unreadable(shown, "damaged", one_line(exc, 160), "save or download it again") from None


def _refused(path: Path, shown: str, exc: Exception) -> GradcheckError:
    """E230 for a pickled model, E231 for other objects; both name what the file would have imported."""
    try:
        names = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # the listing itself reads the file
        return _unreadable(shown, "damaged", one_line(exc, 160), "save or download it again")
    listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    if not names:
        return _unreadable(shown, "damaged", one_line(exc, 160), "save or download it again")
    if any(n.startswith(("torch.nn.modules", "__main__.")) for n in names):
        return GradcheckError(
            "E230",
            f"`{shown}` holds a whole pickled model, and unpickling runs code",
            f"it would import {listed}",
            "save the weights alone: torch.save(model.state_dict(), path); or, if you trust it, --trust-pickle",
        )
    return GradcheckError(
        "E231",
        f"`{shown}` holds more than tensors, and unpickling runs code",
        f"it would import {listed}",
        "save tensors alone, or use safetensors; or, if you trust it, --trust-pickle",
    )


def _read_safetensors(path: Path, shown: str) -> Any:
    _check_header(path, shown)
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise GradcheckError(
            "E235",
            f"`{shown}` needs the package safetensors",
            f"it is not installed in {sys.prefix}",
            f"install it: {sys.executable} -m pip install safetensors",
        ) from None
    try:
        return load_file(path)
    except Exception as exc:  # SafetensorError; ValueError for sizes
        raise _bad_header(shown, one_line(exc, 160)) from None


def _bad_header(shown: str, why: str) -> GradcheckError:
    return GradcheckError("E235", f"`{shown}` is not a valid safetensors file", why, "save or download it again")


def _check_header(path: Path, shown: str) -> None:
    """Read the header ourselves first: the format forbids duplicate keys, the reader accepts them."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(_MOST_HEADER, path.stat().st_size - 8):
            raise _bad_header(shown, f"its header claims {length} bytes and the file has {path.stat().st_size}")
        try:
            pairs: list[tuple[str, Any]] = json.loads(file.read(length), object_pairs_hook=lambda p: p)
        except (ValueError, RecursionError) as exc:
            raise _bad_header(shown, f"its header is not JSON: {one_line(exc, 100)}") from None
    names = Counter(name for name, _ in pairs) if isinstance(pairs, list) else Counter()
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise _bad_header(shown, f"its header names `{twice[0]}` twice")
