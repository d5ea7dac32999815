"""The first and the last lines of the report: what was scanned, the verdict, and what it rests on."""

from __future__ import annotations

import shlex
from collections import Counter

from rich.text import Text

from gradcheck_cli.records import SEVERITIES, InputProfile, Profile, Report
from gradcheck_cli.reporting.accepted import accepted, baseline_lines, close_call
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.numbers import counted, plural, shape, short
from gradcheck_cli.reporting.page import Page, said
from gradcheck_cli.reporting.summary import cures, found, verdict

HANG = 10  # where the text of the labelled lines under the heading starts
STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


def add_subject(page: Page, report: Report) -> None:
    """Name the model, its size, the batch and each loss."""
    first = report.profiles[0]
    layers = sum(layer.leaf and not layer.functional for layer in first.layers)
    parts = [
        first.model_kind,
        plural(layers, "layer"),
        f"{counted(first.parameter_count)} parameters{_trainable(first)}",
        f"batch {', '.join(map(_input, first.batch)) or first.batch_size}{_origin(first)}",
        *(_loss(profile, several=len(report.profiles) > 1) for profile in report.profiles),
    ]
    page.add(Text.assemble(said(first.target, "bold"), " · ", said(" · ".join(parts))), hang=2)


def _origin(profile: Profile) -> str:
    return f" ({profile.batch_origin})" if profile.batch_origin else ""


def _trainable(profile: Profile) -> str:
    frozen = profile.parameter_count - profile.trainable_count
    return f" ({counted(frozen)} frozen)" if frozen else ""


def _input(given: InputProfile) -> str:
    name = "" if given.name.startswith("input ") else f"{given.name} "  # positional arguments have no name of their own
    return f"{name}{shape(given.stats.shape)} {given.stats.dtype.removeprefix('torch.')}"


def _loss(profile: Profile, *, several: bool) -> str:
    objective = profile.objective
    told = objective.kind not in ("other", "model", "projection")
    name = f"{objective.name} ({objective.kind})" if told and several else objective.kind if told else objective.name
    return f"{name} {short(objective.value)} ({objective.origin})"


def add_verdict(page: Page, report: Report) -> None:
    """Say in one line whether the model is healthy, and the names of what was found."""
    worst = report.worst()
    word = Text(verdict(report), style=STYLES[worst] if worst and worst != "note" else "bold green")
    page.add(Text.assemble(word, ": ", said(found(report))), label=Text("verdict"), hang=HANG)
    if tried := cures(report):
        page.add(said(tried), label=Text("trials"), hang=HANG)


def add_footing(page: Page, report: Report) -> None:
    """List what was accepted, assumed and not measured: the verdict holds only with these."""
    assumed = list(dict.fromkeys(a for p in report.profiles for a in p.assumptions))
    parts = (
        ("close call", [close_call(call) for call in report.close_calls]),
        ("accepted", [accepted(one) for one in report.suppressed]),
        ("baseline", baseline_lines(report)),
        ("assumed", assumed or ["nothing"]),
        ("not measured", list(dict.fromkeys(g for p in report.profiles for g in p.gaps))),
    )
    for label, lines in parts:
        for number, line in enumerate(lines):
            page.add(said(line), label=Text("" if number else label, style="bold"), hang=14)


def add_closing(page: Page, report: Report) -> None:
    """Count the findings and say under what conditions they were made."""
    counts = Counter(f.severity for f in report.findings)
    first = report.profiles[0]
    parts = [
        *(plural(counts[s], s) for s in SEVERITIES),
        *([f"{len(report.suppressed)} accepted"] if report.suppressed else []),
        "model untouched",
        f"seed {first.seed}",
        f"{first.dtype.removeprefix('torch.')} on {first.device}",
    ]
    page.add(Text(" · ".join(parts)), hang=2)
    hints = [f"gradcheck explain {code}" for code in dict.fromkeys(f.code for f in report.findings)]
    if any(trial.outcome == "cured" for trial in report.trials):
        hints.insert(0, f"gradcheck fix {shlex.quote(first.target)}")
    if hints and page.look.hints:
        page.add(Text(clean(" · ".join(hints)), style="dim"), hang=2)
