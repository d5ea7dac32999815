"""`gradcheck baseline write` and `gradcheck baseline prune`: the file of known findings."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gradcheck_cli.cli.flags import with_options
from gradcheck_cli.cli.preparing import ConfigFile, Isolated, Targets, end_on_signals, prepare
from gradcheck_cli.cli.scanning import Interrupted, scan_targets
from gradcheck_cli.cli.stderr import show_error
from gradcheck_cli.cli.terminal import check_writable, save
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.targets import project_root

if TYPE_CHECKING:  # imported when a command runs, so that --help stays quick
    from gradcheck_cli.configuration import Configured
    from gradcheck_cli.gate.baseline_file import Baseline
    from gradcheck_cli.records import Scan
    from gradcheck_cli.settings import Settings

DEFAULT = "gradcheck-baseline.json"
# Options of reports and of what a report leads to: this command shows none and tries nothing.
_NOT_HERE = {"no_try", "try_all", "try_budget", "fail_on", "exit_zero", "compare", "fail_on_regression"}
_OF_REPORTS = {"format", "output_file", "layers", "depth", "statistics", "color"}
_WITHOUT = _NOT_HERE | _OF_REPORTS
_options = functools.partial(with_options, without=_WITHOUT)

baseline = typer.Typer(
    name="baseline", help="Write or prune the file of known findings.", rich_markup_mode=None, no_args_is_help=True
)


@baseline.command()
@_options
def write(
    context: typer.Context, targets: Targets = None, config: ConfigFile = None, isolated: Isolated = False, **flags: Any
) -> None:
    """Scan, and accept everything that is found from now on. This runs the models' files.

    The file is --baseline, or gradcheck-baseline.json. Reasons that stand in it are kept, and entries of other targets.
    """
    configured = _prepared(context, targets, flags, config, isolated)
    file = Path(_file(configured))
    old = _read(file) if file.exists() else None
    scanned = _scanned(configured)
    from gradcheck_cli.gate.baseline import rewritten
    from gradcheck_cli.gate.baseline_file import Baseline

    new = rewritten(old or Baseline(), scanned, add=True)
    _save(new, file)
    before = {entry.fingerprint for entry in old.findings} if old else set()
    fresh = sum(entry.fingerprint not in before for entry in new.findings)
    gone = len(before - {entry.fingerprint for entry in new.findings})
    sys.stderr.write(f"{clean(str(file))}: {_counted(new)}, {fresh} of them new, {gone} no longer there\n")


@baseline.command()
@_options
def prune(
    context: typer.Context, targets: Targets = None, config: ConfigFile = None, isolated: Isolated = False, **flags: Any
) -> None:
    """Scan, and take out of the file what is no longer found; nothing is added. This runs the models' files."""
    configured = _prepared(context, targets, flags, config, isolated)
    file = Path(_file(configured))
    old = _read(file)
    scanned = _scanned(configured)
    from gradcheck_cli.gate.baseline import rewritten
    from gradcheck_cli.gate.baseline_file import without_missing_files

    new = without_missing_files(rewritten(old, scanned, add=False), project_root(file.parent))
    _save(new, file)
    kept = {entry.fingerprint for entry in new.findings}
    gone = [entry for entry in old.findings if entry.fingerprint not in kept]
    for entry in gone:
        place = entry.layer or "(model)"
        sys.stderr.write(clean(f"gone: {entry.target}: {entry.code} {entry.name} at {place}") + "\n")
    sys.stderr.write(f"{clean(str(file))}: {_counted(new)}, {len(gone)} taken out\n")


def _counted(file: Baseline) -> str:
    return f"{len(file.findings)} finding{'s' * (len(file.findings) != 1)}"


def _prepared(
    context: typer.Context, targets: list[str] | None, flags: dict[str, Any], config: str | None, isolated: bool
) -> tuple[Configured, ...]:
    end_on_signals()
    return prepare(context.obj, targets or (), flags, config=config, isolated=isolated, without=_WITHOUT)


def _file(configured: Sequence[Configured]) -> str:
    """Return the one file that the targets' settings name. Raises E680 where they name several."""
    files = list(dict.fromkeys(one.settings.baseline or DEFAULT for one in configured))
    if len(files) > 1:
        raise GradcheckError(
            "E680",
            f"the targets have {len(files)} baselines",
            f"their configurations name {', '.join(files)}",
            "write them one after the other, or name one with --baseline",
        )
    check_writable(files[0])
    return os.path.relpath(files[0])


def _read(file: Path) -> Baseline:
    from gradcheck_cli.gate.baseline_file import read_baseline

    return read_baseline(str(file))


def _scanned(configured: Sequence[Configured]) -> list[tuple[Scan, Settings]]:
    """Scan without a baseline and without trials. Raises what kept a target from a verdict: half a baseline is none."""
    plain = [
        dataclasses.replace(one, settings=dataclasses.replace(one.settings, no_try=True, baseline=None)) for one in configured
    ]
    try:
        ended = scan_targets(plain)
    except Interrupted:
        show_error(GradcheckError("E573", "interrupted", "the baseline is as it was", "run it again"), with_trace=False)
        raise typer.Exit(130) from None
    errors = [one.error for one in ended if one.error]
    for error in errors[:-1]:
        show_error(error, with_trace=configured[0].display.traceback)
    if errors:
        raise errors[-1]
    return [(one.scan(), target.settings) for one, target in zip(ended, plain, strict=True)]


def _save(new: Baseline, file: Path) -> None:
    from gradcheck_cli.gate.baseline_file import render_baseline

    save(render_baseline(new), os.fspath(file))
