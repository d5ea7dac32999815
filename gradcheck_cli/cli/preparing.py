"""What every command that scans does first: settings of each target, checked before anything runs for minutes."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradcheck_cli.cli.outputs import Invocation, paired
from gradcheck_cli.cli.terminal import check_writable
from gradcheck_cli.errors import GradcheckError

if TYPE_CHECKING:  # imported when a command runs, so that --help stays quick
    from gradcheck_cli.configuration import Configured

_SELECTORS = {"select", "ignore", "extend_select"}
Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TARGET",
        help="model.py, model.py:name, package.module:name or a checkpoint; without any, `targets` of the configuration.",
    ),
]
ConfigFile = Annotated[str | None, typer.Option(metavar="FILE", help="Read FILE instead of pyproject.toml.")]
Isolated = Annotated[bool, typer.Option("--isolated", help="Read no configuration file.")]


def end_on_signals() -> None:
    """End as on an exit when somebody asks to, or the terminal closes: workers are ended, nothing is left behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_, code=128 + number: sys.exit(code))


def prepare(
    invocation: Invocation,
    targets: Sequence[str],
    flags: Mapping[str, Any],
    *,
    config: str | None,
    isolated: bool,
    without: Collection[str] = (),
) -> tuple[Configured, ...]:
    """Return the checked settings of every target; options that a command is `without` keep their defaults.

    Raises E674 to E681.
    """
    from gradcheck_cli.configuration import configure_all

    given = paired(flags, invocation.arguments)
    made = configure_all(targets, given, os.environ, config=config, isolated=isolated, without=without)
    made = tuple(
        dataclasses.replace(one, settings=dataclasses.replace(one.settings, script_args=invocation.script)) for one in made
    )
    for one in made:
        check_settings(one)
    for _, file in made[0].display.outputs:
        if file is not None:
            check_writable(file)
    return made


def check_settings(configured: Configured) -> None:
    """Find what is wrong with a target's settings before the scan runs for minutes."""
    settings = configured.settings
    if settings.rules or settings.per_layer_ignores or configured.origins.keys() & _SELECTORS:
        _check_rules(configured)
    if configured.display.verbose:
        sys.stderr.write(f"configuration: {configured.file or 'none'}\n")
        sys.stderr.writelines(f"  {name} from {origin}\n" for name, origin in sorted(configured.origins.items()))


def check_baselines(targets: Sequence[Configured]) -> None:
    """Raise E683 or E684 for a baseline that cannot be read: one that is missing must not look like one that accepts."""
    from gradcheck_cli.gate.baseline_file import read_baseline

    for file in {one.settings.baseline for one in targets} - {None}:
        read_baseline(str(file))


def _check_rules(configured: Configured) -> None:
    from gradcheck_cli.rules import declared
    from gradcheck_cli.rules.selection import check_any_left, check_selectors

    try:
        check_selectors(declared(), configured.settings)
        check_any_left(declared(), configured.settings)
    except GradcheckError as error:
        typed = any(not configured.from_file(name) for name in _SELECTORS & configured.origins.keys())
        if configured.file is not None and not typed and error.where is None:
            error.where = str(configured.file)
        raise
