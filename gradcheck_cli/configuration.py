"""Read the settings: defaults < `[tool.gradcheck]` < environment `GRADCHECK_<OPTION>` < flags."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.options import check, fields, unknown
from gradcheck_cli.settings import CHECKPOINTS, Display, Settings

PREFIX = "GRADCHECK_"


@dataclass(frozen=True, slots=True)
class Configured:
    """The effective settings, and for each option that is not a default where it came from."""

    settings: Settings
    display: Display
    origins: Mapping[str, str]
    file: Path | None

    def from_file(self, name: str) -> bool:
        """Say whether an option was set in the configuration file."""
        return self.file is not None and self.origins.get(name) == str(self.file)

    def color(self) -> str:
        """Return what was asked about colour; a file's word is weaker than NO_COLOR and FORCE_COLOR."""
        return "auto" if self.from_file("color") else self.display.color


def configure(
    target: str,
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    config: str | None = None,
    isolated: bool = False,
) -> Configured:
    """Merge all sources into one. Raises E674 to E680 for what is unknown, of the wrong type or contradictory."""
    if config and isolated:
        raise GradcheckError(
            "E680",
            "--config and --isolated contradict each other",
            "--isolated reads no configuration file at all",
            "leave one of them out",
        )
    file = None if isolated else _given(config) if config else nearest(target)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    rules: Mapping[str, Any] = {}
    if file is not None:
        table, rules = _read(file)
        values.update(table)
        origins.update(dict.fromkeys(table, str(file)))
    surroundings = _from_environment(environment)
    values.update(surroundings)
    origins.update({name: variable(name) for name in surroundings})
    given = {name: check(name, value, f"--{fields()[name].key}") for name, value in flags.items() if value is not None}
    values.update(given)
    origins.update({name: f"--{fields()[name].key}" for name in given})
    split = {record: {n: v for n, v in values.items() if fields()[n].record is record} for record in (Settings, Display)}
    settings = Settings(target=target, rules=rules, **split[Settings])
    display = Display(**split[Display])
    _no_conflict(settings, display, origins)
    return Configured(settings, display, origins, file)


def _no_conflict(settings: Settings, display: Display, origins: Mapping[str, str]) -> None:
    conflicts = (
        (display.quiet and display.verbose, "quiet", "verbose", "one asks for less and one for more"),
        (
            bool(settings.data and settings.input),
            "data",
            "input",
            "the batch comes from a file or is made up, not both",
        ),
        (settings.trust_pickle and _safe(settings), "trust_pickle", "weights", "a safetensors file runs no code"),
    )
    for clash, first, second, why in conflicts:
        if clash:
            names = [origins.get(n, f"--{fields()[n].key}") for n in (first, second)]
            raise GradcheckError("E680", f"{names[0]} and {names[1]} contradict each other", why, "leave one of them out")
    place = settings.target.split(":", 1)[0]
    if settings.model and origins["model"].startswith(("--", PREFIX)) and _holds_code(place):
        raise GradcheckError(
            "E680",
            f"{origins['model']} does not go with the target {settings.target}",
            "it names the class that a checkpoint's weights belong to, and this target is no checkpoint",
            f"leave it out; the model of a file is named behind it: {place}:{settings.model.rpartition(':')[2]}",
        )
    inputs = [f for f in (place, settings.data, settings.weights) if f]
    if display.output_file and Path(display.output_file).resolve() in [Path(f).resolve() for f in inputs]:
        raise GradcheckError(
            "E680",
            f"--output-file would overwrite {display.output_file}",
            "the scan reads this file",
            "give another path for the report",
        )


def _holds_code(place: str) -> bool:
    """Say whether the target is a Python file or a module; what is missing or of another kind is told when it is loaded."""
    return place.endswith(".py") or not (os.path.exists(place) or Path(place).suffix.lower() in CHECKPOINTS)


def _safe(settings: Settings) -> bool:
    return bool(settings.weights and settings.weights.endswith(".safetensors"))


def variable(name: str) -> str:
    """Return the environment variable of an option."""
    return PREFIX + name.upper()


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    known = {variable(n): n for n, f in fields().items() if not f.option.flag_only}
    values = {}
    for key, text in environment.items():
        if not key.startswith(PREFIX) or not text:
            continue
        if key not in known:
            raise unknown("environment variable", key, known)
        values[known[key]] = check(known[key], text, key)
    return values


def nearest(target: str) -> Path | None:
    """Return the nearest pyproject.toml with a [tool.gradcheck] table, from the target upward to the project's root.

    The folder that holds `.git` is the root: a table above it belongs to somebody else's project.
    """
    path = Path(target.split(":", 1)[0])
    start = path if os.path.isdir(path) else path.parent if os.path.exists(path) else Path()  # False for what no path can be
    for folder in (start.resolve(), *start.resolve().parents):
        file = folder / "pyproject.toml"
        if file.is_file() and "gradcheck" in _tools(file):
            return file
        if (folder / ".git").exists():
            return None
    return None


def _given(config: str) -> Path:
    file = Path(config)
    if not file.is_file():
        raise GradcheckError(
            "E677", f"cannot read the configuration {config}", "there is no such file", "check the path after --config"
        )
    return file


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"{_short(file)}:{line[1]}" if line else _short(file)
        raise GradcheckError(
            "E677", f"{file.name} is not valid TOML", str(error), "mend that line, or pass --isolated", where=where
        ) from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise GradcheckError(
            "E677", f"{file.name} cannot be read", str(error), "mend the file, or pass --isolated", where=_short(file)
        ) from None


def _tools(file: Path) -> dict[str, Any]:
    """The [tool] table; empty where `tool` is no table, which is another tool's mistake."""
    tools = _toml(file).get("tool", {})
    return tools if isinstance(tools, dict) else {}


def _short(file: Path) -> str:
    try:
        return file.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return file.as_posix()


def _read(file: Path) -> tuple[dict[str, Any], Mapping[str, Any]]:
    table = _tools(file).get("gradcheck", {})
    if not isinstance(table, dict):
        raise GradcheckError(
            "E675",
            "`gradcheck` in [tool] must be a table",
            f"it is {table!r}",
            "write [tool.gradcheck] and the settings below it",
            where=_short(file),
        )
    table = dict(table)
    rules = table.pop("rules", {})
    known = {f.key: n for n, f in fields().items() if not f.option.flag_only}
    values = {}
    for key, value in table.items():
        where = f"{_short(file)}:{line_of(file, key)}"
        if key not in known:
            raise unknown("key", key, [*known, "rules"], where=where)
        name = known[key]
        values[name] = check(name, value, f"`{key}` in [tool.gradcheck]", where=where)
        if fields()[name].option.path:
            values[name] = str(file.parent / values[name])
    if not isinstance(rules, dict) or not all(isinstance(v, dict) for v in rules.values()):
        raise GradcheckError(
            "E675",
            "`rules` in [tool.gradcheck] must be tables",
            "each rule has its own table of limits",
            'write [tool.gradcheck.rules.GC101] and below it severity = "warning" or a limit',
            where=f"{_short(file)}:{line_of(file, 'rules')}",
        )
    return values, rules


def line_of(file: Path, key: str) -> int:
    """Return the 1-based line of a key in [tool.gradcheck] or a table below it; 1 when it is written unusually."""
    inside = False
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        if re.match(r"\s*\[", line):
            inside = bool(re.match(r"\s*\[\s*tool\s*\.\s*gradcheck\b", line))
            if inside and re.search(rf"\.\s*[\"']?{re.escape(key)}[\"']?\s*[\].]", line):
                return number
        elif inside and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[.=]", line):
            return number
    return 1
