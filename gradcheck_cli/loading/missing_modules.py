"""Imports that fail: packages not installed, relative imports, neighbours that hide a module (E101, E106, E107, E112)."""

from __future__ import annotations

import difflib
import importlib.machinery
import itertools
import sys
import traceback
from pathlib import Path

from gradcheck_cli.errors import GradcheckError, message
from gradcheck_cli.loading.frames import is_ours, is_user_file, one_line, shown_path
from gradcheck_cli.loading.target import Target

_DISTRIBUTIONS = {
    "cv2": "opencv-python",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
    "torch_geometric": "torch-geometric",
    "pytorch_lightning": "pytorch-lightning",
    "dotenv": "python-dotenv",
}
_LEVELS = 4  # directories above the target in which a missing package is looked for


def translate(exc: ImportError, target: Target, base: Path) -> GradcheckError:
    """What an import needed and how to get it."""
    text = message(exc)
    if "relative import" in text or "no known parent package" in text:
        return _relative_import(target, base)
    if not isinstance(exc, ModuleNotFoundError) or not exc.name:
        return GradcheckError(
            "E106",
            f"an import failed: {one_line(exc)}",
            f"packages come from {sys.prefix}",
            "check the installed version of that package",
        )
    top = exc.name.partition(".")[0]
    if target.kind == "module" and (exc.name == target.module or target.module.startswith(exc.name + ".")):
        return _no_such_module(exc.name, target, base)
    nearby = _found_above(top, target, base)
    if nearby is not None:
        return GradcheckError(
            "E106",
            f"`{exc.name}` cannot be imported",
            f"`{top}` lies in `{nearby}`, which is not on Python's path",
            f"run with PYTHONPATH={nearby}",
        )
    return GradcheckError(
        "E106",
        f"`{exc.name}` is not installed",
        f"gradcheck runs in the environment {sys.prefix}",
        f"install it there: {sys.executable} -m pip install {_DISTRIBUTIONS.get(top, top)}",
    )


def _no_such_module(name: str, target: Target, base: Path) -> GradcheckError:
    files = {p.stem for p in base.glob("*.py")} | {p.parent.name for p in base.glob("*/__init__.py")}
    close = difflib.get_close_matches(name, sorted(files), n=3, cutoff=0.5)
    rest = ":" + target.attribute if target.attribute else ""
    return GradcheckError(
        "E101",
        f"no such target: `{target.text}`",
        f"there is no file of that name and no importable module `{name}`",
        f"did you mean {close[0]}{rest}?" if close else "give a path such as model.py, or package.module:name",
    )


def _relative_import(target: Target, base: Path) -> GradcheckError:
    path = (target.path or base / Path(*target.module.split("."))).resolve()
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if len(parts) == 1:  # a package without __init__.py
        parts.insert(0, folder.name)
        folder = folder.parent
    dotted = ".".join(parts) + (":" + target.attribute if target.attribute else "")
    place = "" if folder == base.resolve() else f", run in {shown_path(str(folder), base)}"
    return GradcheckError(
        "E107",
        "the file uses relative imports, so it only works as part of its package",
        "run by its path it has no package",
        f"name it as a module: gradcheck scan {dotted}{place}",
    )


def _found_above(name: str, target: Target, base: Path) -> str | None:
    """A directory above the target that holds a module or package of this name."""
    if target.path is None:
        return None
    folder = target.path.resolve().parent
    for _ in range(_LEVELS):
        folder = folder.parent
        if (folder / name / "__init__.py").is_file() or (folder / f"{name}.py").is_file():
            return shown_path(str(folder), base)
    return None


def shadowing(exc: BaseException, target: Target) -> GradcheckError | None:
    """E112: a neighbour of the file has the name of a module that another package needed."""
    if target.path is None:
        return None
    own = target.path.resolve()
    outside = [p for p in sys.path if p and Path(p).resolve() != own.parent]
    drawn_in = _imported_by_libraries(exc)
    for neighbour in sorted(own.parent.glob("*.py")):
        name, file = neighbour.stem, neighbour.resolve()
        loaded = getattr(sys.modules.get(name), "__file__", None)
        said = f"{message(exc)} '{getattr(exc, 'name', '')}"
        named = loaded is not None and Path(loaded).resolve() == file and f"'{name}" in said
        if file == own or not (named or file in drawn_in):
            continue
        spec = importlib.machinery.PathFinder.find_spec(name, outside)
        installed = spec is not None and spec.origin is not None and not is_user_file(spec.origin)
        if name in sys.stdlib_module_names or installed:
            return GradcheckError(
                "E112",
                f"`{neighbour.name}` beside the file hides the module `{name}` that an import needs",
                one_line(exc),
                f"rename {neighbour.name}",
            )
    return None


def _imported_by_libraries(exc: BaseException) -> set[Path]:
    """The user's files whose import was asked for by a file that is not the user's."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(exc.__traceback__)]
    files = [file for file in files if not file.startswith("<frozen")]
    pairs = itertools.pairwise(files)
    return {
        Path(file).resolve()
        for before, file in pairs
        if is_user_file(file) and not is_user_file(before) and not is_ours(before)
    }
