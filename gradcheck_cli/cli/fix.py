"""`gradcheck fix`: write the cure that worked on a copy into the source, as a diff or in place."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradcheck_cli.cli.flags import with_options
from gradcheck_cli.cli.preparing import ConfigFile, Isolated, check_settings, end_on_signals
from gradcheck_cli.cli.scanning import measure
from gradcheck_cli.cli.stderr import show_error
from gradcheck_cli.cli.terminal import emit
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.reporting.clean import clean

# Options that would change nothing here. A baseline accepts findings; who wants them mended does not accept them.
_OF_REPORTS = {"no_try", "format", "output_file", "layers", "depth", "color", "fail_on", "statistics"}
_OF_GATES = {"baseline", "compare", "fail_on_regression", "exit_zero", "jobs"}
_WITHOUT = _OF_REPORTS | _OF_GATES
_CHECKPOINTS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".pt2", ".torchscript", ".jit")
_BUDGET_FOR_ALL = 60.0  # seconds that trying every suggestion gets at least

if TYPE_CHECKING:  # imported when a patch is made, so that --help stays quick
    from gradcheck_cli.configuration import Configured
    from gradcheck_cli.fixing.cures import Fix
    from gradcheck_cli.fixing.files import Sources
    from gradcheck_cli.records import Report


@functools.partial(with_options, without=_WITHOUT)
def fix(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="model.py, model.py:name or package.module:name.")],
    write: Annotated[bool, typer.Option("--write/--diff", help="Change the files, or print the change as a diff.")] = False,
    config: ConfigFile = None,
    isolated: Isolated = False,
    **flags: Any,
) -> None:
    """Patch a model's source with the remedy that cured a copy of it. This runs the model's file.

    The patched text is imported and scanned in the file's place before it is shown. --write keeps the old text beside
    the file as model.py.orig, unless git has it.
    """
    from gradcheck_cli.configuration import configure

    end_on_signals()
    configured = configure(target, flags, os.environ, config=config, isolated=isolated, without=_WITHOUT)
    settings = dataclasses.replace(configured.settings, script_args=context.obj.script)
    configured = dataclasses.replace(configured, settings=settings)
    _refuse_checkpoint(settings.target)
    check_settings(configured)
    try:
        raise typer.Exit(_fix(configured, write=write))
    except KeyboardInterrupt:
        show_error(GradcheckError("E573", "interrupted", "no file was changed", "run it again"), with_trace=False)
        raise typer.Exit(130) from None


def _refuse_checkpoint(target: str) -> None:
    if Path(target).suffix.lower() in _CHECKPOINTS:
        raise GradcheckError(
            "E690",
            f"`{target}` holds weights, and no source that could be patched",
            "a patch changes the code that builds the model",
            "name that code: model.py or package.module:name",
        )


def _fix(configured: Configured, *, write: bool) -> int:
    from gradcheck_cli.cli.fix_text import how_to_apply, nothing_to_fix, still_there, summary
    from gradcheck_cli.fixing.files import Sources

    report = measure(configured)
    if not any(f.grave for f in report.findings):
        sys.stderr.write(nothing_to_fix(configured.settings.target, report))
        return 0
    sources = Sources(Path.cwd())
    found = _search(configured, report, sources)
    sys.stderr.write(summary(found, configured.settings))
    if not found.texts:
        return 2
    if write:
        _write(found, sources)
    else:
        diff, folder = _diff(found, sources)
        emit(diff)
        sys.stderr.write(how_to_apply(sys.argv[1:], folder))
    sys.stderr.write(still_there(found))
    return 0


def _search(configured: Configured, report: Report, sources: Sources) -> Fix:
    """Patch what cured a copy; where that cannot be written, try all suggestions and take the better of both patches."""
    from gradcheck_cli.cli.fix_text import trying_all
    from gradcheck_cli.fixing.cures import find_fix, worth_more_trials

    def scan(texts: Mapping[str, str]) -> Report:
        return _scan_patched(configured, sources, texts)

    found = find_fix(report, sources, scan)
    blocked = worth_more_trials(found)
    if not blocked or configured.settings.try_all:
        return found
    sys.stderr.write(trying_all(blocked))
    budget = max(_BUDGET_FOR_ALL, configured.settings.try_budget)
    settings = dataclasses.replace(configured.settings, try_all=True, try_budget=budget)
    again = find_fix(measure(dataclasses.replace(configured, settings=settings)), sources, scan)
    return again if len(again.uncured) <= len(found.uncured) else found


def _scan_patched(configured: Configured, sources: Sources, texts: Mapping[str, str]) -> Report:
    """Scan as before, without trials, with the new texts standing in for the files."""
    with tempfile.TemporaryDirectory(prefix="gradcheck-fix-") as folder:
        overlay = {}
        for number, (name, text) in enumerate(texts.items()):
            source, place = sources.source(name), Path(folder) / f"{number}.py"
            place.write_bytes(source.encode(text))
            overlay[os.path.realpath(source.path)] = str(place)
        settings = dataclasses.replace(configured.settings, overlay=overlay, no_try=True)
        display = dataclasses.replace(configured.display, quiet=True)
        return measure(dataclasses.replace(configured, settings=settings, display=display))


def _diff(found: Fix, sources: Sources) -> tuple[str, str]:
    """Write the diff with names below this folder; else with names below another, which is returned as well.

    A file outside this folder has no name that `patch` would take from here.
    """
    from gradcheck_cli.fixing.diff import unified

    names, folder = {name: Path(name).as_posix() for name in found.texts}, ""
    if any(name.startswith(("../", "/")) for name in names.values()):
        places = {name: os.path.abspath(name) for name in names}
        folder = os.path.commonpath([os.path.dirname(place) for place in places.values()])
        names = {name: Path(os.path.relpath(place, folder)).as_posix() for name, place in places.items()}
        sys.stderr.write(f"the diff is to be applied in {clean(folder)}\n")
    marked = {name: sources.source(name).marked for name in names}
    changed = found.texts.items()
    return "".join(unified(names[n], sources.text(n), text, marked=marked[n]) for n, text in changed), folder


def _write(found: Fix, sources: Sources) -> None:
    """Write all files, or none if one of them cannot be written."""
    from gradcheck_cli.fixing.draft import CannotPatch
    from gradcheck_cli.fixing.files import check_unchanged, write

    name = ""
    try:
        for name in found.texts:
            check_unchanged(sources.source(name))
        for name, text in found.texts.items():
            backup = write(sources.source(name), text)
            kept = f"the old text is in {backup.name}" if backup else "git has the old text"
            sys.stderr.write(f"{clean(name)} written; {kept}\n")
    except CannotPatch as refused:
        raise GradcheckError(
            "E691", f"`{name}` was not written", str(refused), "make it writable, or run gradcheck fix again"
        ) from None
