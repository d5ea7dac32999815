"""Read `[tool.gradcheck]` of a pyproject.toml: options, targets, limits of rules, ignored layers."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.options import check, fields, unknown
from gradcheck_cli.settings import STDOUT, LayerIgnore
from gradcheck_cli.targets import is_file, split

_TABLES = ("targets", "per-layer-ignores", "rules")  # keys that are no options


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a configuration file says."""

    values: Mapping[str, Any]
    rules: Mapping[str, Any]
    ignores: tuple[LayerIgnore, ...]
    targets: tuple[str, ...]


NOTHING = ConfigFile({}, {}, (), ())


def nearest(target: str) -> Path | None:
    """Return the nearest pyproject.toml with a [tool.gradcheck] table, from the target upward to the project's root.

    The folder that holds `.git` is the root: a table above it belongs to somebody else's project.
    """
    path = Path(split(target)[0])
    start = path if os.path.isdir(path) else path.parent if os.path.exists(path) else Path()  # False for what no path can be
    for folder in (start.resolve(), *start.resolve().parents):
        file = folder / "pyproject.toml"
        if file.is_file() and "gradcheck" in _tools(file):
            return file
        if (folder / ".git").exists():
            return None
    return None


def named(config: str) -> Path:
    file = Path(config)
    if not file.is_file():
        raise GradcheckError(
            "E677", f"cannot read the configuration {config}", "there is no such file", "check the path after --config"
        )
    if "gradcheck" not in _tools(file):
        raise GradcheckError(
            "E677", f"{config} has no settings", "there is no table [tool.gradcheck] in it", "write [tool.gradcheck] above them"
        )
    return file


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"{shown(file)}:{line[1]}" if line else shown(file)
        raise GradcheckError(
            "E677", f"{file.name} is not valid TOML", str(error), "mend that line, or pass --isolated", where=where
        ) from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise GradcheckError(
            "E677", f"{file.name} cannot be read", str(error), "mend the file, or pass --isolated", where=shown(file)
        ) from None


def _tools(file: Path) -> dict[str, Any]:
    """The [tool] table; empty where `tool` is no table, which is another tool's mistake."""
    tools = _toml(file).get("tool", {})
    return tools if isinstance(tools, dict) else {}


def shown(file: Path) -> str:
    try:
        return file.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return file.as_posix()


def read(file: Path) -> ConfigFile:
    table = _tools(file).get("gradcheck", {})
    if not isinstance(table, dict):
        raise GradcheckError(
            "E675",
            "`gradcheck` in [tool] must be a table",
            f"it is {table!r}",
            "write [tool.gradcheck] and the settings below it",
            where=shown(file),
        )
    known = {f.key: n for n, f in fields().items() if not f.option.flag_only}
    values: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{shown(file)}:{line_of(file, key)}"
        if key in _TABLES:
            continue
        if key not in known:
            raise unknown("key", key, [*known, *_TABLES], where=where)
        name = known[key]
        values[name] = check(name, value, f"`{key}` in [tool.gradcheck]", where=where)
        if fields()[name].option.path:
            values[name] = _from_folder(file.parent, values[name])
    return ConfigFile(values, _rules(file, table), _ignores(file, table), _targets(file, table))


def _from_folder(folder: Path, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_from_folder(folder, part) for part in value)
    return value if value == STDOUT else str(folder / value)


def _rules(file: Path, table: Mapping[str, Any]) -> Mapping[str, Any]:
    rules = table.get("rules", {})
    if not isinstance(rules, dict) or not all(isinstance(v, dict) for v in rules.values()):
        raise _wrong_table(
            file,
            "rules",
            "tables",
            "each rule has its own table of limits",
            'write [tool.gradcheck.rules.GC101] and below it severity = "warning" or a limit',
        )
    return rules


def _ignores(file: Path, table: Mapping[str, Any]) -> tuple[LayerIgnore, ...]:
    ignores = table.get("per-layer-ignores", {})
    if not isinstance(ignores, dict) or not all(_is_list_of_texts(v) for v in ignores.values()):
        raise _wrong_table(
            file,
            "per-layer-ignores",
            "a table of lists",
            "each pattern of layer names has the list of rules that are ignored there",
            'write per-layer-ignores = {"encoder.*" = ["GC203"]}',
        )
    place = Path(os.path.relpath(file)).as_posix()
    return tuple(
        LayerIgnore(pattern=pattern, selectors=tuple(selectors), file=place, line=_line_of_pattern(file, pattern))
        for pattern, selectors in ignores.items()
    )


def _targets(file: Path, table: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the targets with paths as they are from the working directory."""
    targets = table.get("targets", [])
    if not _is_list_of_texts(targets):
        raise _wrong_table(
            file, "targets", "a list of texts", "each is what `gradcheck scan` takes", 'write targets = ["model.py"]'
        )
    folder = Path(os.path.relpath(file.parent))
    return tuple((folder / target).as_posix() if is_file(split(target)[0]) else target for target in targets)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) and part for part in value)


def _wrong_table(file: Path, key: str, form: str, why: str, do: str) -> GradcheckError:
    where = f"{shown(file)}:{line_of(file, key)}"
    return GradcheckError("E675", f"`{key}` in [tool.gradcheck] must be {form}", why, do, where=where)


def _line_of_pattern(file: Path, pattern: str) -> int:
    """Return the 1-based line where a key of `per-layer-ignores` stands, else that of the table."""
    key = re.compile(rf"(^|[\s{{,])[\"']?{re.escape(pattern)}[\"']?\s*=")
    return next((number for number, line in _own_lines(file) if key.search(line)), line_of(file, "per-layer-ignores"))


def line_of(file: Path, key: str) -> int:
    """Return the 1-based line of a key in [tool.gradcheck] or a table below it; 1 when it is written unusually."""
    named = rf"[\"']?{re.escape(key)}[\"']?"
    written = re.compile(rf"\s*\[.*\.\s*{named}\s*[\].]|\s*{named}\s*[.=]")
    return next((number for number, line in _own_lines(file) if written.match(line)), 1)


def _own_lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines of [tool.gradcheck] and the tables below it, with their numbers."""
    inside = False
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        if re.match(r"\s*\[", line):
            inside = bool(re.match(r"\s*\[\s*tool\s*\.\s*gradcheck\b", line))
        if inside:
            yield number, line
