"""The pytest plugin: a fixture that checks a model, and --gradcheck, which scans targets as tests.

Every run of pytest imports this file: what a scan needs is imported when there is one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck_cli.targets import file_of, is_file, split

if TYPE_CHECKING:
    from gradcheck_cli.records import Report, Scan

NAME = "gradcheck"  # of the marker, and what every node id of a target begins with
_NODE_ID = re.compile(rf"(?:\.\./)*{NAME}::(.+)")  # as pytest shows it, also in a subfolder
_TARGETS = pytest.StashKey[tuple[str, ...]]()  # as they are written from the root directory


@pytest.fixture(scope="session")
def gradient_health() -> Callable[..., Report]:
    """Return `check(model, batch, loss_fn, **options)`: it fails the test with the report unless the model is healthy.

    Arguments and result are those of `gradcheck_cli.assert_healthy`.
    """
    from gradcheck_cli.api import assert_healthy
    from gradcheck_cli.errors import GradcheckError

    def check(model: Any, batch: Any = None, loss_fn: Any = None, **options: Any) -> Report:
        __tracebackhide__ = True
        try:
            return assert_healthy(model, batch, loss_fn, **options)
        except GradcheckError as error:
            for note in (error.where, error.why, error.do, error.trace):
                if note:
                    error.add_note(note)
            raise error.with_traceback(None) from None  # the way through gradcheck tells the user nothing

    return check


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup(NAME, "gradient health (gradcheck)")
    group.addoption("--gradcheck", action="store_true", help="Scan the `targets` of [tool.gradcheck], each as a test.")
    group.addoption(
        "--gradcheck-target",
        action="append",
        default=[],
        metavar="TARGET",
        help="Scan this model instead, as `gradcheck scan TARGET` does. May be repeated.",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{NAME}: the scan of a model, made by --gradcheck.")
    named = {argument: found[1] for argument in config.args if (found := _NODE_ID.fullmatch(argument))}
    config.args[:] = [argument for argument in config.args if argument not in named]  # pytest would look for files
    if named or config.getoption("gradcheck") or config.getoption("gradcheck_target"):
        targets = list(named.values()) or _asked_for(config)
        config.stash[_TARGETS] = tuple(dict.fromkeys(targets))


def _asked_for(config: pytest.Config) -> list[str]:
    """Return the targets of the command line, else of the configuration. Raises UsageError where there are none."""
    from gradcheck_cli.config_file import nearest, read
    from gradcheck_cli.errors import GradcheckError

    targets = config.getoption("gradcheck_target")
    if not targets:
        try:
            file = nearest(f"{config.rootpath}/")
            targets = read(file).targets if file else ()
        except GradcheckError as error:
            at = f"{error.where}: " if error.where else ""
            raise pytest.UsageError(f"{at}{error.what}: {error.why}; {error.do} ({error.id})") from None
    if not targets:
        raise pytest.UsageError(
            '--gradcheck has nothing to scan: write targets = ["model.py"] below [tool.gradcheck] in pyproject.toml, '
            "or give --gradcheck-target model.py"
        )
    return [_from_root(target, config.rootpath) for target in targets]


def _from_root(target: str, root: Path) -> str:
    """Return a target as it is written from the root directory, like every node id; a module is called the same anywhere."""
    place, name = split(target)
    if not is_file(place):
        return target
    place = Path(os.path.relpath(place, root)).as_posix()
    return f"{place}:{name}" if name else place


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    """Put the targets behind what the session collects, so that they are counted, chosen and dealt out as tests are."""
    outcome = yield
    if isinstance(collector, pytest.Session) and _TARGETS in collector.config.stash:
        report = outcome.get_result()
        report.result = [*report.result, Targets.from_parent(collector, name=NAME, nodeid=NAME)]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Let the summary at the end say the verdict in a line; on a build server pytest repeats the whole message there."""
    outcome = yield
    crash = getattr(outcome.get_result().longrepr, "reprcrash", None)
    if isinstance(item, TargetScan) and crash is not None:
        crash.message = item.headline()


class Targets(pytest.Collector):
    """All targets of a run."""

    def collect(self) -> Iterator[pytest.Item]:
        for target in self.config.stash[_TARGETS]:
            yield TargetScan.from_parent(self, name=target, path=self.config.rootpath / file_of(target))


class TargetScan(pytest.Item):
    """The scan of one target, in the set-up: a missing verdict is an error of the test, a sick model its failure."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.add_marker(NAME)
        self._scan: Scan | None = None
        self._fails = False
        self._code = 0

    def setup(self) -> None:
        done = _run(self.name, self.config.rootpath)
        self._scan, self._code = _read(self.name, done.stdout), done.returncode
        if self._scan and self._scan.report:
            self._fails = self._code == 1 and _fails(self._scan.report)
            self._scan = dataclasses.replace(self._scan, report=_without_unused(self._scan.report))
        error = self._scan.error if self._scan else None
        said = done.stderr.partition(f"error {error.id}: ")[0] if error else done.stderr
        if said:
            self.add_report_section("setup", "stderr", said)
        if self._scan is None or error or self._code not in (0, 1):
            pytest.fail(self._text() or self.headline(), pytrace=False)

    def runtest(self) -> None:
        if self._fails:
            pytest.fail(self._text(), pytrace=False)
        self.add_report_section("call", "stdout", self._text())  # for -rP

    def headline(self) -> str:
        """Return the verdict in one line."""
        from gradcheck_cli.reporting.clean import clean
        from gradcheck_cli.reporting.summary import summary

        if self._scan and self._scan.report:
            return summary(self._scan.report)
        error = self._scan.error if self._scan else None
        return f"no verdict: {error.id} {clean(error.what)}" if error else f"no verdict: exit code {self._code}"

    def _text(self) -> str:
        from gradcheck_cli.reporting import render
        from gradcheck_cli.reporting.base import Look

        return render((self._scan,), Look()) if self._scan else ""

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"gradient health of {self.name}"


def _run(target: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Scan in a process of its own, where the user's file is run, with the settings that the command finds."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "gradcheck_cli", "scan", target, "--format", "json", "--output-file", "-"],
        cwd=root,
        env={**os.environ, "GRADCHECK_STATISTICS": "false"},  # a table of counts is no report
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _read(target: str, answer: str) -> Scan | None:
    """Return what the command found; None where it could not say."""
    from gradcheck_cli.records import Failure, Report, Scan, from_dict

    try:
        document = json.loads(answer)
    except ValueError:
        return None
    if "error" in document:
        return Scan(target=target, error=from_dict(Failure, document["error"]))
    return Scan(target=target, report=from_dict(Report, document))


def _fails(report: Report) -> bool:
    """Say whether a scan that exits with 1 does so for more than an unused suppression.

    Whether another target needs it is nothing that the scan of one can know. What fails without a finding is a regression.
    """
    bar = report.settings.get("fail_on", "error")
    return _without_unused(report).fails(bar) or not report.fails(bar)


def _without_unused(report: Report) -> Report:
    return dataclasses.replace(report, findings=tuple(f for f in report.findings if f.code != "GC901"))
