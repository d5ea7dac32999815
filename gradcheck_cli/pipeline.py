"""The stages in order: load, diagnose (probe, judge, confirm, judge again), set aside what is accepted, prescribe, try."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from gradcheck_cli import __version__, phase
from gradcheck_cli.diagnosis import diagnose
from gradcheck_cli.gate.decide import decide
from gradcheck_cli.records import Outline, Report
from gradcheck_cli.remedies import prescribe
from gradcheck_cli.rules import declared
from gradcheck_cli.rules.selection import check_any_left, check_selectors
from gradcheck_cli.settings import Settings
from gradcheck_cli.targets import identity

if TYPE_CHECKING:
    from torch import nn

    from gradcheck_cli.loading.base import Subject


def scan(settings: Settings) -> Report:
    """Load the target and examine it. Raises GradcheckError when no verdict can be reached."""
    from gradcheck_cli.loading import load

    phase.enter("loading the target")
    known = settings.identity or identity(settings.target)
    return examine(load(settings), dataclasses.replace(settings, identity=known))


def scan_given(model: nn.Module, batch: Any, loss_fn: Any, optimizer: Any, settings: Settings) -> Report:
    """Examine a model that a program holds; it, its gradients and the random generators are as before afterwards.

    Raises GradcheckError when no verdict can be reached.
    """
    from gradcheck_cli.loading import load_given
    from gradcheck_cli.probing.sandbox import untouched

    subject = load_given(model, batch, loss_fn, optimizer, settings)
    with untouched(subject.model):
        return examine(subject, settings)


def list_layers(settings: Settings) -> Outline:
    """Build the target's model and name its layers, without running it. Raises GradcheckError."""
    from gradcheck_cli.loading import outline

    phase.enter("building the model")
    return outline(settings)


def examine(subject: Subject, settings: Settings) -> Report:
    """Measure, judge and treat a loaded subject, in this process; its model is left bit for bit as it was."""
    check_selectors(declared(), settings)
    check_any_left(declared(), settings)
    phase.enter("measuring one forward and backward pass")
    seen = diagnose(subject, settings)
    phase.enter("judging")
    report = Report(
        tool_version=__version__,
        profiles=seen.profiles,
        findings=seen.findings,
        settings=_echo(settings),
        identity=settings.identity,
    )
    report = decide(report, subject.comments, settings)
    report = dataclasses.replace(report, prescriptions=prescribe(report.profiles, report.findings))
    if settings.no_try or not any(p.edits for p in report.prescriptions):
        return report
    phase.interim(report)
    from gradcheck_cli.trials.search import try_remedies

    return try_remedies(subject, report, settings)


def _echo(settings: Settings) -> dict[str, object]:
    """The settings that the verdict depends on."""
    measured = ("batches", "seed", "device", "dtype", "exact")
    judged = ("select", "ignore", "extend_select", "fail_on", "rules")
    names = (*measured, "no_try", "try_all", "try_budget", *judged)
    return {name: getattr(settings, name) for name in names}
