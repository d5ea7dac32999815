"""gradcheck in a program, a notebook or a test: the same scan, in this process. Importing this imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.options import check, fields, unknown
from gradcheck_cli.records import SEVERITIES, Report, Scan, Severity
from gradcheck_cli.settings import LayerIgnore, Settings

if TYPE_CHECKING:
    from torch import nn

# Options of a scan that would change the caller's model, or that say how a file is loaded or its process limited.
_OF_FILES = ("init", "model", "weights", "trust_pickle", "unfreeze", "cwd", "data", "input", "workers", "device", "dtype")
_OF_PROCESSES = ("threads", "timeout", "memory_limit")


def scan(
    model: nn.Module | Settings | str,
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
    `optimizer`: an instance, or a name with `lr`. `target` is what the report and a baseline call the model, its class
    without it. `options` are those of `gradcheck scan` that judge, measure and try: `seed`, `batches`, `exact`, `no_try`,
    `try_budget`, `select`, `ignore`, `baseline`, `rules`, `per_layer_ignores` ...; no configuration file is read.

    A path or Settings in the model's place scans a file, as the command line does but without a process of its own.

    Raises GradcheckError when no verdict can be reached.
    """
    from gradcheck_cli import pipeline

    if isinstance(model, Settings):
        return pipeline.scan(model)
    if isinstance(model, str):
        return pipeline.scan(_settings(model, options))
    if isinstance(loss_fn, str):
        options, loss_fn = {**options, "loss": loss_fn}, None
    if isinstance(optimizer, str):
        options, optimizer = {**options, "optimizer": optimizer}, None
    for name in (*_OF_FILES, *_OF_PROCESSES):
        if name in options:
            raise GradcheckError(
                "E680",
                f"`{name}` does not go with a model that is already there",
                "it says how a file is loaded, or how its process is limited",
                "leave it out, and give the model as it is to be measured",
            )
    settings = _settings(target or type(model).__name__, options)
    return pipeline.scan_given(model, batch, loss_fn, optimizer, settings)


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
    report = model if isinstance(model, Report) else scan(model, batch, loss_fn, fail_on=fail_on, **options)
    worst = report.worst()
    if worst is not None and SEVERITIES.index(worst) <= SEVERITIES.index(fail_on):
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
    return Settings(target=target, identity=target, **values)


def _words(selectors: str | Sequence[str]) -> tuple[str, ...]:
    return (selectors,) if isinstance(selectors, str) else tuple(selectors)
