"""How `benchmarks/stability.py` counts: which side is the minority, when the criterion holds, what smaller margins reach."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from borderline import MODELS, Borderline
from stability import SCALES, Run, report, tally

from gradcheck_cli.rules import load_rules


def _runs(codes: str, silent: str = "", threads: int = 1, model: str = "m", numbers: str = "") -> list[Run]:
    """One run a seed: its exit code, and whether it states no close call ("s" at its place in `silent`)."""
    return [
        Run(
            model=model,
            threads=threads,
            seed=seed,
            fails=code == "1",
            findings=(),
            calls=(),
            stated=(False,) * len(SCALES) if silent[seed : seed + 1] == "s" else (*[False] * (len(SCALES) - 1), True),
            numbers=numbers or f"{seed}",
        )
        for seed, code in enumerate(codes)
    ]


@pytest.mark.parametrize(
    ("codes", "silent", "minority", "holds"),
    [
        ("0000", "ssss", 0, True),  # all alike: nothing to say
        ("1111", "ssss", 0, True),
        ("0001", "", 1, True),
        ("0001", "sss.", 1, True),  # the minority has said so
        ("0001", "...s", 1, False),
        ("1110", "...s", 1, False),
        ("0011", "", 4, True),
        ("0011", "s...", 4, False),  # as many on both sides: all have to say so
    ],
)
def test_the_minority_has_to_say_how_close_it_is(codes, silent, minority, holds):
    result = tally(_runs(codes, silent))
    assert (result.minority, result.holds) == (minority, holds)
    assert result.stated == len(codes) - silent.count("s")


def test_threads_are_compared_seed_by_seed():
    result = tally([*_runs("0010", numbers="a"), *_runs("0110", threads=2, numbers="b")])
    assert (result.turned, result.turned_silently, result.differing) == (1, 0, 4)
    assert result.codes == {1: "0010", 2: "0110"}
    alike = tally([*_runs("0010"), *_runs("0010", threads=2)])
    assert (alike.turned, alike.differing) == (0, 0)


def test_a_turned_seed_has_to_say_so_on_both_sides():
    """Here all of the minority says so, but not the other run of the seed that the second thread turns."""
    result = tally([*_runs("0010", ".s.."), *_runs("0110", threads=2)])
    assert result.minority == result.minority_stated == 3
    assert result.turned_silently == 1
    assert not result.holds


MODEL = Borderline("m", "GC101", "")


def test_the_report_names_what_breaks_the_criterion():
    lines, holds = report(_runs("0001", "...s"), [MODEL])
    assert not holds
    assert "3 of 4; 1 of the minority's 1 do not" in "\n".join(lines)
    assert lines[-1] == "criterion: broken by m"


def test_the_report_counts_models_with_one_exit_code():
    other = Borderline("n", "GC102", "")
    lines, holds = report([*_runs("0001"), *_runs("1111", "ssss", model="n")], [MODEL, other])
    assert holds
    assert "models with one exit code in all runs: 1, with both: 1" in lines
    assert lines[-1] == "criterion: holds for every model"


def test_smaller_margins_are_counted_on_their_own():
    lines, _ = report(_runs("0001"), [MODEL])
    shares = [line for line in lines if line.startswith(("| 0.", "| 1 "))]
    assert [line.split("|")[2].strip() for line in shares] == ["0%"] * (len(SCALES) - 1) + ["100%"]


def test_twenty_models_near_limits_of_real_rules():
    codes = {file.rule.code for file in load_rules()}
    assert len({model.name for model in MODELS}) == len(MODELS) == 20
    assert {model.rule for model in MODELS} <= codes
    for model in MODELS:
        assert "$" not in model.source
        ast.parse(model.source)
