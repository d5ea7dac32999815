"""How `benchmarks/verdicts.py` counts: what is a false alarm, what is defended, what is a miss."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import verdicts
from verdicts import Raised, Run, report, tally
from zoo.cases import Case


def _case(name: str, expect: str = "", allowed: str = "") -> Case:
    return Case(
        name=name,
        family="made-up",
        mechanism="1" if not expect else "made-up",
        build=lambda seed: pytest.fail("never built"),
        expect=frozenset(expect.split()),
        also_allowed=frozenset(allowed.split()),
        defence="it is true" if allowed else "",
    )


KNOWN = {c.name: c for c in (_case("well"), _case("mild", allowed="GC101"), _case("ill", "GC101 GC203", "GC205"))}


def _run(name: str, *findings: tuple[str, str], seed: int = 0, error: str = "") -> Run:
    return Run(name, seed, tuple(Raised(severity, code, "net.0", "words", "") for severity, code in findings), 0.1, error)


@pytest.mark.parametrize(
    ("run", "alarms", "defended"),
    [
        (_run("well"), 0, 0),
        (_run("well", ("note", "GC401")), 0, 0),
        (_run("well", ("warning", "GC401")), 1, 0),
        (_run("well", ("error", "GC101"), ("warning", "GC301")), 2, 0),
        (_run("mild", ("warning", "GC101")), 0, 1),
        (_run("mild", ("error", "GC101")), 1, 0),  # a defence covers warnings only
        (_run("mild", ("warning", "GC102")), 1, 0),
        (_run("well", error="RuntimeError: no"), 1, 0),
    ],
)
def test_false_alarms(run, alarms, defended):
    result = tally([run], KNOWN)
    assert (len(result.alarms), len(result.defended)) == (alarms, defended)
    assert result.alarm_rate == float(alarms > 0)


@pytest.mark.parametrize(
    ("run", "missed", "strays"),
    [
        (_run("ill", ("error", "GC101")), 0, 0),
        (_run("ill", ("warning", "GC203"), ("warning", "GC205")), 0, 0),
        (_run("ill", ("note", "GC101")), 1, 0),  # a note fails nobody's scan
        (_run("ill", ("error", "GC205")), 1, 0),
        (_run("ill", ("error", "GC102")), 1, 1),
        (_run("ill", error="RuntimeError: no"), 1, 0),
    ],
)
def test_misses(run, missed, strays):
    result = tally([run], KNOWN)
    assert (len(result.misses), len(result.strays)) == (missed, strays)
    assert result.recall == 1.0 - missed


def test_rates_count_runs_and_the_report_names_every_miss_and_alarm():
    runs = [_run("well", seed=s) for s in range(3)] + [_run("well", ("warning", "GC601"), ("error", "GC602"), seed=3)]
    runs += [_run("ill", ("error", "GC101")), _run("ill", seed=1)]
    result = tally(runs, KNOWN)
    assert (result.alarm_rate, result.recall) == (0.25, 0.5)
    text = "\n".join(report(result, KNOWN))
    assert "| healthy | 1 | 4 | 25.0% of runs and 1 networks raise a false alarm |" in text
    assert "| sick | 1 | 2 | recall 50.0% |" in text
    assert "- well (seed 3): warning GC601 `net.0` words" in text
    assert "- ill (seed 1): expected GC101 or GC203, got nothing" in text


def test_the_limits_are_those_that_the_project_promises():
    assert (verdicts.RECALL, verdicts.FALSE_ALARMS) == (0.95, 0.01)
