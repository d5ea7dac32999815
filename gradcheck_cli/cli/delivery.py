"""Bring the report to where it was asked for: the screen, files, and the summary page of a GitHub job."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence

from gradcheck_cli.cli.sources import source_lines
from gradcheck_cli.cli.terminal import append, emit, save, screen
from gradcheck_cli.configuration import Configured
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.records import Scan
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.base import Look, RulePage
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.rules import declared
from gradcheck_cli.targets import seen_from_root

_SUMMARY = "GITHUB_STEP_SUMMARY"  # the file that GitHub shows on a job's page


def deliver(scans: Sequence[Scan], configured: Configured, environment: Mapping[str, str]) -> None:
    """Render the scans in every format that was asked for; a report in a file leaves a line on stderr."""
    display = configured.display
    on_screen = False
    for form, file in display.outputs:
        place = screen(configured.color()) if file is None else Look(color=display.color == "always")
        text = render(scans, _look(place, form, scans, configured))
        if file is None:
            emit(text)
            on_screen = True
        else:
            save(text, file)
    if not on_screen and not display.quiet:
        _say_where(scans, [file for _, file in display.outputs if file])
    if "github" in display.format and (summary := environment.get(_SUMMARY)):
        look = _look(Look(), "markdown", scans, configured)
        try:
            append(render(scans, look), summary)
        except GradcheckError as error:  # the annotations are there, and the verdict is what counts
            sys.stderr.write(f"{clean(error.what)}: {clean(error.why)}\n")


def _look(place: Look, form: str, scans: Sequence[Scan], configured: Configured) -> Look:
    display = configured.display
    return dataclasses.replace(
        place,
        format="statistics" if display.statistics else form,
        layers=display.layers,
        depth=display.depth,
        verbose=display.verbose,
        hints=not display.quiet,
        source=source_lines(scans),
        rules=tuple(RulePage(rule=file.rule, page=file.page) for file in declared()),
        folder=seen_from_root(),
    )


def _say_where(scans: Sequence[Scan], files: Sequence[str]) -> None:
    from gradcheck_cli.reporting.summary import summary

    for scan in scans:
        if scan.report is not None:
            name = f"{clean(scan.target)}: " if len(scans) > 1 else ""
            sys.stderr.write(f"{name}{summary(scan.report)}\n")
    sys.stderr.writelines(f"report written to {clean(file)}\n" for file in files)
