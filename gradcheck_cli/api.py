"""gradcheck in a program, a notebook or a test: the same scan, in this process. Importing this imports no torch."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.options import check, fields, unknown
from gradcheck_cli.records import Report, Scan, Severity
from gradcheck_cli.settings import LayerIgnore, Settings

if TYPE_CHECKING:
    from torch import nn

# Options of a scan that would change the caller's model, or that say how a file is loaded or its process limited.
_OF_FILES = ("init", "model", "weights", "trust_pickle", "unfreeze", "cwd", "data", "input", "workers", "device", "dtype")
_OF_PROCESSES = ("threads", "timeout", "memory_limit")
_one_at_a_time = threading.Lock()  # a scan watches and restores what the whole process shares: generators, modes, hooks


def scan(
    model: nn.Module | Settings | str | os.PathLike[str],
    batch: Any = None,
    loss_fn: Any = None,
    *,
    optimizer: Any = None,
    target: str = "",
    **options: Any,
) -> Report:
    """Measure and judge a model in this process, and try remedies on copies; the model is left bit for bit as it was.

    `batch`: a tensor, (inputs, target), a dictionary of the model's arguments, or a DataLoader; made up without one.
    `loss_fn`: a function of (output, target), a loss module, or a name such as "cross_entropy"; inferred without one.
    `optimizer`: an instance, or a name with `lr`. `target`: what the report and a baseline call the model, its class
    without it. `options` are those of `gradcheck scan` that judge, measure and try: `seed`, `batches`, `exact`, `no_try`,
    `try_budget`, `select`, `ignore`, `baseline`, `rules`, `per_layer_ignores` ...; no configuration file is read.

    A path or Settings in the model's place scans a file, as the command line does but without a process of its own.

    Raises GradcheckError when no verdict can be reached.
    """
    from gradcheck_cli import pipeline

    if isinstance(model, (Settings, str, os.PathLike)):
        beside = {"batch": batch, "loss_fn": loss_fn, "optimizer": optimizer, "target": target or None}
        _refuse([name for name, value in beside.items() if value is not None], "a file says itself what it holds")
        if isinstance(model, Settings):
            _refuse(options, "Settings hold all options")
            with _one_at_a_time:
                return pipeline.scan(model)
        _refuse(options.keys() & _OF_PROCESSES, "this process has no limits of its own")
        with _one_at_a_time:
            return pipeline.scan(_settings(os.fspath(model), options))
    _refuse(options.keys() & {*_OF_FILES, *_OF_PROCESSES}, "it says how a file is loaded, or how its process is limited")
    if isinstance(loss_fn, str):
        options, loss_fn = {**options, "loss": loss_fn}, None
    if isinstance(optimizer, str):
        options, optimizer = {**options, "optimizer": optimizer}, None
    settings = _settings(target or type(model).__name__, options)
    settings = dataclasses.replace(settings, identity=settings.target)
    with _one_at_a_time:
        return pipeline.scan_given(model, batch, loss_fn, optimizer, settings)


def _refuse(names: Iterable[str], why: str) -> None:
    """Raise E680 for arguments that would be passed over in silence."""
    for name in sorted(names):
        raise GradcheckError("E680", f"`{name}` does not go with what is scanned", why, "leave it out")


def assert_healthy(
    model: nn.Module | Report,
    batch: Any = None,
    loss_fn: Any = None,
    *,
    fail_on: Severity = "error",
    **options: Any,
) -> Report:
    """Scan a model, or take a report, and raise AssertionError with the text report if a finding is as grave as `fail_on`.

    Returns the report otherwise. Arguments and errors are those of `scan`.
    """
    __tracebackhide__ = True  # pytest shows the line of the test, not this one
    check("fail_on", fail_on, "`fail_on`")
    if isinstance(model, Report):
        report = model
        given = {"batch": batch, "loss_fn": loss_fn, **options}
        _refuse([name for name, value in given.items() if value is not None], "the report has been made already")
    else:
        report = scan(model, batch, loss_fn, fail_on=fail_on, **options)
    if report.fails(fail_on):
        raise AssertionError(as_text(report))
    return report


def as_text(report: Report) -> str:
    """Return the report as `gradcheck scan` prints it where nobody looks at a terminal."""
    from gradcheck_cli.reporting import render
    from gradcheck_cli.reporting.base import Look

    return render((Scan(target=report.target, report=report),), Look(hints=False))


def _settings(target: str, options: Mapping[str, Any]) -> Settings:
    """Check options as flags are checked. Raises E674 for an unknown one, E675 for a value that it does not take."""
    known = [name for name, field in fields().items() if field.record is Settings]
    values = {}
    for name, value in options.items():
        if name == "rules":
            values[name] = value
        elif name == "per_layer_ignores":
            values[name] = tuple(LayerIgnore(pattern=p, selectors=_words(s)) for p, s in value.items())
        elif name not in known:
            raise unknown("option", name, [*known, "rules", "per_layer_ignores"])
        elif value is not None:
            values[name] = check(name, list(value) if isinstance(value, tuple) else value, f"`{name}`")
    return Settings(target=target, **values)


def _words(selectors: str | Sequence[str]) -> tuple[str, ...]:
    return (selectors,) if isinstance(selectors, str) else tuple(selectors)
