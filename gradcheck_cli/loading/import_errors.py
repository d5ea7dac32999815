"""What can go wrong while the user's file runs, told in the user's terms (E104 to E112, E118, E119, E126)."""

from __future__ import annotations

import difflib
import importlib.machinery
import sys
import tokenize
from pathlib import Path

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import environment_errors
from gradcheck_cli.loading.frames import is_user_file, one_line, shown_path, trace, user_frames, where
from gradcheck_cli.loading.target import Target
from gradcheck_cli.settings import Settings

_GUARD = "put the part that runs under `if __name__ == '__main__':`"
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


def read_source(path: Path) -> bytes:
    """The file's bytes, checked to be Python text (E105)."""
    try:
        data = path.read_bytes()
    except PermissionError as exc:
        raise GradcheckError("E101", f"`{path.name}` cannot be read", one_line(exc), "check the file's permissions") from None
    if b"\0" in data:
        raise GradcheckError(
            "E105",
            f"`{path.name}` is not a text file",
            f"it holds a NUL byte at offset {data.index(0)}",
            "save it as UTF-8 (UTF-16 files hold NUL bytes)",
        )
    try:
        with path.open("rb") as file:
            encoding, _ = tokenize.detect_encoding(file.readline)
        data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as exc:
        why = (
            f"byte {data[exc.start]:#04x} at offset {exc.start} is not {exc.encoding}"
            if isinstance(exc, UnicodeDecodeError)
            else str(exc)
        )
        raise GradcheckError(
            "E105",
            f"`{path.name}` cannot be decoded",
            why,
            "save it as UTF-8, or name its encoding in the first line: # -*- coding: latin-1 -*-",
        ) from None
    return data


def too_long(target: Target, settings: Settings, line: str) -> GradcheckError:
    """E109: the import used up its share of the time limit."""
    return GradcheckError(
        "E109",
        f"`{target.text}` was still running at import when its time was up ({settings.timeout:g} s limit)",
        f"it was at {line}: does it train at import?" if line else "does it train at import?",
        f"{_GUARD}, or allow more with --timeout",
        where=line or None,
    )


def translate_import(exc: BaseException, target: Target, base: Path) -> GradcheckError:
    """Find the error id for an exception that the user's file raised at import."""
    if isinstance(exc, SyntaxError):
        error = _syntax(exc, base)
    elif isinstance(exc, SystemExit):
        error = _system_exit(exc, target)
    elif isinstance(exc, Warning):
        error = GradcheckError(
            "E126",
            f"a warning stopped the import: {one_line(exc)}",
            "warnings are turned into errors here",
            "run without -W error (or PYTHONWARNINGS=error)",
        )
    elif (shadow := _shadowing(exc, target)) is not None:
        error = shadow
    elif isinstance(exc, ImportError):
        error = _import_error(exc, target, base)
    elif isinstance(exc, EOFError):
        error = GradcheckError(
            "E110", "the file asks for input at import", "a scan has nobody to type it: stdin is empty", _GUARD
        )
    elif isinstance(exc, OSError) and exc.filename is not None:
        error = _file_error(exc)
    else:
        error = translate_building(exc, f"`{target.text}` raised at import")
    return located(error, exc, base)


def located(error: GradcheckError, exc: BaseException, base: Path) -> GradcheckError:
    """Add the user's line and the user's frames."""
    error.where = error.where or where(exc, base)
    error.trace = error.trace or trace(exc, base)
    return error


def translate_building(exc: BaseException, what: str) -> GradcheckError:
    """Find the error id for an exception raised while a model is built, at import or by us (E118, E119, or the machine's)."""
    text = str(exc)
    if (
        "before Module.__init__() call" in text
        or "object has no attribute '_modules'" in text
        or "has no attribute '_parameters'" in text
    ):
        return GradcheckError(
            "E119",
            "`super().__init__()` is missing in a module's `__init__`",
            one_line(exc),
            "call super().__init__() first in __init__",
        )
    return environment_errors.translate(exc) or GradcheckError(
        "E118", what, one_line(exc), "run `python` on the file to see the same error, or --traceback"
    )


def _syntax(exc: SyntaxError, base: Path) -> GradcheckError:
    file = shown_path(exc.filename, base) if exc.filename else "the file"
    line = (exc.text or "").rstrip("\n")
    indent = len(line) - len(line.lstrip())
    caret = " " * max((exc.offset or 1) - 1 - indent, 0) + "^"
    place = f"{file}:{exc.lineno}" if exc.lineno else file
    return GradcheckError(
        "E104",
        f"`{file}` has a syntax error",
        f"{exc.msg}: {line.strip()}" if line.strip() else str(exc.msg),
        f"correct line {exc.lineno}",
        where=place,
        trace=f"  {place}\n    {line.strip()}\n    {caret}",
    )


def _system_exit(exc: SystemExit, target: Target) -> GradcheckError:
    frames = user_frames(exc.__traceback__)
    parser = any(
        "argparse" in (f.f_code.co_names + f.f_code.co_varnames) or "parse_args" in f.f_code.co_names for f, _ in frames
    )
    what = "the file parses command-line arguments at import" if parser else f"the file exits at import (exit code {exc.code})"
    return GradcheckError(
        "E108",
        what,
        "its own command line was not given" if parser else "a scan needs it to run to its end",
        f"{_GUARD}, or pass its arguments: gradcheck scan {target.text} -- ARGS",
    )


def _file_error(exc: OSError) -> GradcheckError:
    return GradcheckError(
        "E111",
        f"the file could not open `{exc.filename}` at import",
        f"{exc.strerror}; the working directory is `{Path.cwd().as_posix()}`",
        "run from the directory that path is relative to, or name it with --cwd",
    )


def _import_error(exc: ImportError, target: Target, base: Path) -> GradcheckError:
    text = str(exc)
    if "relative import" in text or "no known parent package" in text:
        return _relative_import(target)
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
    places = sorted(
        {p.stem if p.suffix == ".py" else p.name for p in base.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    )
    close = difflib.get_close_matches(name, places, n=3, cutoff=0.5)
    rest = ":" + target.attribute if target.attribute else ""
    return GradcheckError(
        "E101",
        f"no such target: `{target.text}`",
        f"there is no file of that name and no importable module `{name}`",
        f"did you mean {close[0]}{rest}?" if close else "give a path such as model.py, or package.module:name",
    )


def _relative_import(target: Target) -> GradcheckError:
    path = (target.path or Path(target.module)).resolve()
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if len(parts) == 1:  # a package without __init__.py
        parts.insert(0, folder.name)
        folder = folder.parent
    dotted = ".".join(parts) + (":" + target.attribute if target.attribute else "")
    return GradcheckError(
        "E107",
        "the file uses relative imports, so it only works as part of its package",
        "run by its path it has no package",
        f"run from the directory `{folder.name}`: gradcheck scan {dotted}",
    )


def _found_above(name: str, target: Target, base: Path) -> str | None:
    """A directory above the target that holds a module or package of this name."""
    if target.path is None:
        return None
    folder = target.path.resolve().parent
    for _ in range(4):
        folder = folder.parent
        if (folder / name).is_dir() or (folder / f"{name}.py").is_file():
            return shown_path(str(folder), base)
    return None


def _shadowing(exc: BaseException, target: Target) -> GradcheckError | None:
    """E112: a neighbour of the file has the name of a module that another package needed."""
    if target.path is None or not isinstance(exc, (ImportError, AttributeError, TypeError)):
        return None
    folder = target.path.resolve().parent
    outside = [p for p in sys.path if p and Path(p).resolve() != folder]
    seen = {Path(f.f_code.co_filename).resolve() for f, _ in user_frames(exc.__traceback__)}
    for neighbour in sorted(folder.glob("*.py")):
        name = neighbour.stem
        loaded = getattr(sys.modules.get(name), "__file__", None)
        involved = neighbour.resolve() in seen or (loaded is not None and Path(loaded).resolve() == neighbour.resolve())
        if (
            neighbour.resolve() == target.path.resolve()
            or not involved
            or f"'{name}" not in str(exc) + f"'{getattr(exc, 'name', '')}'"
        ):
            continue
        spec = importlib.machinery.PathFinder.find_spec(name, outside)
        if name in sys.stdlib_module_names or (spec is not None and spec.origin is not None and not is_user_file(spec.origin)):
            return GradcheckError(
                "E112",
                f"`{neighbour.name}` beside the file hides the module `{name}` that an import needs",
                one_line(exc),
                f"rename {neighbour.name}",
            )
    return None
