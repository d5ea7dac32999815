"""What the person typed: a file, an importable module or a checkpoint, with an optional name in it."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.settings import CHECKPOINTS

PROGRAMS = (".pt2", ".torchscript", ".jit")
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*|\[\d+\]|\[['\"][^'\"\]]+['\"]\])*\Z")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`path` for a file or checkpoint, `module` for an import path; `attribute` is what stands after the colon."""

    text: str
    kind: Literal["file", "module", "checkpoint"]
    path: Path | None = None
    module: str = ""
    attribute: str = ""


def parse_target(text: str, base: Path) -> Target:
    """Read `model.py`, `model.py:name`, `package.module:name` or `weights.pt`; paths are relative to `base`."""
    place, attribute = _split(text, base)
    if not place:
        raise GradcheckError(
            "E101",
            f"no such target: `{text}`",
            "no file or module is named",
            "give a path such as model.py, or package.module:name",
        )
    path = base / place
    if os.path.isfile(path):  # unlike Path's own, False for a name that no system takes
        return _file(text, path, attribute)
    if os.path.isdir(path):
        raise _directory(text, path, place)
    if _MODULE.match(place) and not place.endswith(".py"):
        sibling = path.with_name(path.name + ".py")
        if "." not in place and os.path.isfile(sibling):
            return Target(text=text, kind="file", path=sibling, attribute=attribute)
        if Path(place).suffix not in CHECKPOINTS + PROGRAMS:
            return Target(text=text, kind="module", module=place, attribute=attribute)
    raise missing_file("E101", place, path, "target")


def _split(text: str, base: Path) -> tuple[str, str]:
    place, colon, attribute = text.rpartition(":")
    if not colon or os.path.exists(base / text) or len(place) == 1:  # len 1: a Windows drive
        return text, ""
    if not attribute:
        return place, ""
    if not _NAME.match(attribute):
        raise GradcheckError(
            "E113",
            f"`{attribute}` is not a name that can be looked up",
            "after the colon stands a name such as `model`, `models[0]` or `build.net`",
            f"type gradcheck scan {place}:NAME",
        )
    return place, attribute


def _file(text: str, path: Path, attribute: str) -> Target:
    suffix = path.suffix.lower()
    if suffix == ".py":
        return Target(text=text, kind="file", path=path, attribute=attribute)
    if suffix in CHECKPOINTS:
        return Target(text=text, kind="checkpoint", path=path, attribute=attribute)
    if suffix in PROGRAMS:
        raise program_file(path)
    raise GradcheckError(
        "E103",
        f"`{path.name}` is not a kind of file gradcheck can scan",
        f"it ends in `{suffix or 'nothing'}`; accepted are .py files, package.module:name, and "
        f"{', '.join(CHECKPOINTS)} with --model",
        "write a .py file that builds the model and scan that",
    )


def program_file(path: Path, shown: str = "", *, torchscript: bool = False) -> GradcheckError:
    """E234 for TorchScript and torch.export files, which are programs and not weights."""
    exported = path.suffix.lower() == ".pt2" if not shown else not torchscript
    loader = "torch.export.load(...).module()" if exported else "torch.jit.load(...)"
    return GradcheckError(
        "E234",
        f"`{shown or path.name}` is a {'torch.export' if exported else 'TorchScript'} program, not weights",
        "such files run code when they are loaded, so they need the trust a .py file needs",
        f"write a .py file with `model = {loader}` and scan that",
    )


def _directory(text: str, path: Path, place: str) -> GradcheckError:
    files = sorted(p.name for p in path.glob("*.py"))
    listed = ", ".join(files[:8]) + (f" and {len(files) - 8} more" if len(files) > 8 else "")
    return GradcheckError(
        "E102",
        f"`{text}` is a directory",
        f"it holds {listed}" if files else "it holds no .py file",
        f"name one file: gradcheck scan {(Path(place) / files[0]).as_posix()}" if files else "name a .py file",
    )


def missing_file(id: str, place: str, path: Path, purpose: str) -> GradcheckError:
    """Say which files of a similar name exist where `path` was expected."""
    folder = path.parent
    if not folder.is_dir():
        return GradcheckError(
            id,
            f"no such {purpose}: `{place}`",
            f"there is no directory `{Path(place).parent.as_posix()}`",
            "check the path; it is relative to the directory gradcheck is run in",
        )
    names = sorted(p.name for p in folder.iterdir() if p.is_file())
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    alike = close or [n for n in names if path.suffix and n.endswith(path.suffix)]
    shown = Path(place).parent
    listed = ", ".join(f"`{n}`" for n in alike[:5])
    return GradcheckError(
        id,
        f"no such {purpose}: `{place}`",
        f"`{shown.as_posix()}` has {listed}" if alike else f"`{shown.as_posix()}` has no file of that kind",
        f"did you mean {(shown / close[0]).as_posix()}?" if close else "name a file that is there",
    )
