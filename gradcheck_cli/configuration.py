"""Read the settings: defaults < `[tool.gradcheck]` < environment `GRADCHECK_<OPTION>` < flags."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcheck_cli.config_file import NOTHING, named, nearest, read, shown
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.options import check, fields, unknown
from gradcheck_cli.settings import CHECKPOINTS, STDOUT, Display, Gate, Settings
from gradcheck_cli.targets import identity, moved, split

PREFIX = "GRADCHECK_"
_COUNTED = ("text", "concise")  # formats for people, whose place a count of the rules may take


@dataclass(frozen=True, slots=True)
class Configured:
    """The effective settings, and for each option that is not a default where it came from."""

    settings: Settings
    gate: Gate
    display: Display
    origins: Mapping[str, str]
    file: Path | None

    def from_file(self, name: str) -> bool:
        """Say whether an option was set in the configuration file."""
        return self.file is not None and self.origins.get(name) == str(self.file)

    def color(self) -> str:
        """Return what was asked about colour; a file's word is weaker than NO_COLOR and FORCE_COLOR."""
        return "auto" if self.from_file("color") else self.display.color


def configure_all(
    targets: Sequence[str],
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    config: str | None = None,
    isolated: bool = False,
    without: Collection[str] = (),
) -> tuple[Configured, ...]:
    """Merge the settings of every target; without any, of the `targets` in the file nearest to the working directory.

    How results are shown and gated is what the first target's sources say. Raises E681 where nothing is to be scanned.
    """
    if not targets:
        file = _chosen("", config, isolated)
        targets = read(file).targets if file else ()
        if not targets:
            raise GradcheckError(
                "E681",
                "nothing to scan",
                "no target is given" + (f", and {shown(file)} lists no `targets`" if file else ""),
                "gradcheck scan model.py",
            )
    made = [configure(target, flags, environment, config=config, isolated=isolated, without=without) for target in targets]
    once: dict[str, Configured] = {}
    for one in made:
        once.setdefault(one.settings.identity, one)
    return tuple(once.values())


def configure(
    target: str,
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    config: str | None = None,
    isolated: bool = False,
    without: Collection[str] = (),
) -> Configured:
    """Merge all sources into one; options that a command is `without` keep their defaults.

    Raises E674 to E680 for what is unknown, of the wrong type or contradictory.
    """
    file = _chosen(target, config, isolated)
    table = read(file) if file else NOTHING
    values: dict[str, Any] = dict(table.values)
    origins: dict[str, str] = dict.fromkeys(values, str(file))
    surroundings = _from_environment(environment)
    values.update(surroundings)
    origins.update({name: variable(name) for name in surroundings})
    given = {name: check(name, value, f"--{fields()[name].key}") for name, value in flags.items() if value is not None}
    values.update(given)
    origins.update({name: f"--{fields()[name].key}" for name in given})
    for name in without:
        values.pop(name, None)
        origins.pop(name, None)
    split = {record: {n: v for n, v in values.items() if fields()[n].record is record} for record in (Settings, Gate, Display)}
    settings = Settings(
        target=moved(target, Path()),
        rules=table.rules,
        per_layer_ignores=table.ignores,
        identity=identity(target),
        **split[Settings],
    )
    configured = Configured(settings, Gate(**split[Gate]), Display(**split[Display]), origins, file)
    _no_conflict(configured)
    return configured


def _chosen(target: str, config: str | None, isolated: bool) -> Path | None:
    if config and isolated:
        raise GradcheckError(
            "E680",
            "--config and --isolated contradict each other",
            "--isolated reads no configuration file at all",
            "leave one of them out",
        )
    return None if isolated else named(config) if config else nearest(target)


def _no_conflict(configured: Configured) -> None:
    settings, gate, display, origins = configured.settings, configured.gate, configured.display, configured.origins
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
    if gate.fail_on_regression is not None and gate.compare is None:
        raise GradcheckError(
            "E680",
            f"{origins['fail_on_regression']} has nothing to compare with",
            "a regression is what is worse than in an earlier report",
            "add --compare old.json, a report of --format json",
        )
    place = split(settings.target)[0]
    if settings.model and origins["model"].startswith(("--", PREFIX)) and _holds_code(place):
        raise GradcheckError(
            "E680",
            f"{origins['model']} does not go with the target {settings.target}",
            "it names the class that a checkpoint's weights belong to, and this target is no checkpoint",
            f"leave it out; the model of a file is named behind it: {place}:{settings.model.rpartition(':')[2]}",
        )
    inputs = [f for f in (place, settings.data, settings.weights, settings.baseline, gate.compare, configured.file) if f]
    _check_outputs(display, inputs)


def _check_outputs(display: Display, inputs: Sequence[str | Path]) -> None:
    """Every format needs a place of its own, and no report may take the place of what the scan reads."""
    if len(display.output_file) > len(display.format):
        raise GradcheckError(
            "E680",
            f"{len(display.output_file)} output files for {len(display.format)} formats",
            "each file takes the report in one format",
            "give a --format before each --output-file",
        )
    if display.statistics and (other := [form for form in display.format if form not in _COUNTED]):
        raise GradcheckError(
            "E680",
            f"--statistics does not go with --format {other[0]}",
            "a reader of that format expects the findings",
            f"use --format {_COUNTED[0]}, or leave --statistics out",
        )
    taken = [Path(file).resolve() for file in inputs]
    seen: set[str | Path] = set()
    for place in [file or STDOUT for _, file in display.outputs]:
        resolved = place if place == STDOUT else Path(place).resolve()
        if resolved in taken:
            raise GradcheckError(
                "E680",
                f"--output-file would overwrite {place}",
                "the scan reads this file",
                "give another path for the report",
            )
        if resolved in seen:
            told = "the standard output" if place == STDOUT else place
            raise GradcheckError(
                "E680",
                f"two formats for {told}",
                "a reader could not tell where one ends",
                "give each format an --output-file of its own, e.g. --format sarif -o gradcheck.sarif --format text",
            )
        seen.add(resolved)


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
