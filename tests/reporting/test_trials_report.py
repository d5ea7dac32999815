import dataclasses
import json
import math
import re

import pytest
from canned_reports import healthy, one, sick
from canned_trials import drop, training, treated
from hypothesis import given, settings
from hypothesis import strategies as st
from test_text_report import HOSTILE, check_golden, text

from gradcheck_cli.records import OUTCOMES, Effect, OptimizerProfile, Report, TrainingRuns, Trial, from_dict
from gradcheck_cli.reporting import render
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.clean import clean
from gradcheck_cli.reporting.measured import aligned, effect, loss
from gradcheck_cli.reporting.summary import summary

WIDTHS = [None, 40, 60, 80, 120, 200]


@pytest.mark.parametrize(
    ("name", "look"),
    [
        ("treated_60.txt", {"width": 60}),
        ("treated_80.txt", {"width": 80}),
        ("treated_120.txt", {"width": 120}),
        ("treated_piped.txt", {}),
        ("treated_verbose.txt", {"verbose": True, "width": 100}),
        ("treated_ascii.txt", {"width": 80, "unicode": False}),
    ],
)
def test_golden(name: str, look: dict[str, object]) -> None:
    check_golden(name, text(treated(), layers="none", **look))


def test_golden_json() -> None:
    report = treated()
    small = dataclasses.replace(report, profiles=sick(depth=1).profiles)
    check_golden("treated.json", render(one(small), Look(format="json")))


def test_json_parses_back_into_the_same_trials() -> None:
    shown = render(one(treated()), Look(format="json"))
    again = from_dict(Report, json.loads(shown))
    assert render(one(again), Look(format="json")) == shown
    finite = [t for t in treated().trials if not t.training or all(map(math.isfinite, t.training.edited.end))]
    assert [t for t in again.trials if t in finite] == finite


def flat(shown: str) -> str:
    return " ".join(shown.split())


@pytest.mark.parametrize("width", WIDTHS)
def test_each_trial_and_each_suggestion_is_shown_once_with_its_outcome(width: int | None) -> None:
    """Counts equal, whatever the width: nothing is left out, nothing is cut off."""
    report = treated()
    shown = text(report, width=width, layers="none")
    blocks = shown.split("tried on a copy")[1:]
    assert len(blocks) == len({(t.code, t.layer) for t in report.trials})
    for block, code in zip(blocks, ("GC101", "GC202"), strict=True):
        trials = [t for t in report.trials if t.code == code]
        table = re.split("how to apply|what helps most", block)[0]
        counts = {word: len(re.findall(rf"^  {word}  ", table, re.MULTILINE)) for word in OUTCOMES}
        assert counts == {word: sum(t.outcome == word for t in trials) for word in OUTCOMES}
        squeezed = re.sub(r"\s", "", table)
        used = {remedy for t in trials for remedy in t.remedies}
        untried = [p for p in report.prescriptions if p.code == code and p.remedy not in used]
        if width is None:
            assert all(t.title in table and t.reason in table for t in trials)
        if width not in (80, 120):  # where titles do not fold beside numbers
            assert all(re.sub(r"\s", "", t.title) in squeezed for t in trials)
        assert all(re.sub(r"\s", "", p.title) in squeezed for p in untried)


@pytest.mark.parametrize("width", WIDTHS)
def test_lines_fit_the_terminal(width: int | None) -> None:
    longest = max(map(len, text(treated(), width=width, verbose=True).splitlines()))
    assert width is None or longest <= max(width, 70)


def test_words_carry_what_colour_carries() -> None:
    plain, painted = text(treated(), width=100), text(treated(), width=100, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain
    assert "\x1b[1;32mcured" in painted
    assert text(treated(), width=80, unicode=False, verbose=True).isascii()


def test_the_snippet_is_that_of_the_best() -> None:
    shown = text(treated())
    assert re.findall(r"^  (.*): (?:ReLU in place|Start with smaller weights$)", shown, re.MULTILINE) == [
        "how to apply",
        "what helps most",
    ]
    assert "apply('smaller-start')" in shown
    assert "  and: Scale the loss\n" in shown
    assert "apply('xavier')" not in shown
    every = text(treated(), verbose=True)
    assert all(line in every for p in treated().prescriptions for line in p.snippet.splitlines())


def test_where_nothing_helps_there_is_no_snippet_and_it_says_so() -> None:
    report = treated()
    trials = tuple(dataclasses.replace(t, outcome="no effect") for t in report.trials if t.outcome != "not applied")
    shown = text(dataclasses.replace(report, trials=trials))
    assert "none of these helps; -v shows how to apply each" in shown
    assert "how to apply:" not in shown
    assert "trials    no cure was found among 7 trials" in shown
    assert "gradcheck fix" not in shown


def test_where_nothing_could_be_applied_the_reasons_stand_there() -> None:
    report = treated()
    trials = tuple(dataclasses.replace(t, outcome="not applied", reason="it is tied") for t in report.trials)
    shown = text(dataclasses.replace(report, trials=trials))
    assert shown.count(": it is tied") == len(trials)
    assert "trials    no suggestion could be tried" in shown


def test_findings_without_trials_look_as_without_trials() -> None:
    report = treated()
    one = dataclasses.replace(report, trials=tuple(t for t in report.trials if t.code == "GC202"))
    assert "suggestions, in the order to try them" in text(one).split("warning GC202")[0]
    untouched = dataclasses.replace(report, trials=())
    assert "trials" not in text(untouched)
    assert text(healthy()).count("trial") == 0


def test_the_cure_is_counted_over_the_findings_that_need_one() -> None:
    report = treated()
    assert "trials    a cure was found for 2 of 2 findings" in text(report)  # one of them also cures the other
    alone = tuple(dataclasses.replace(t, also_cures=()) for t in report.trials)
    one = dataclasses.replace(report, trials=alone)
    assert "trials    a cure was found for 1 of 2 findings" in text(one)
    assert summary(one).endswith("; a cure was found for 1 of 2 findings")
    noted = dataclasses.replace(one, findings=(one.findings[0], dataclasses.replace(one.findings[1], severity="note")))
    assert "trials    a cure was found: ReLU in place of Sigmoid\n" in text(noted)
    assert summary(sick()) == "sick: vanishing-gradient (error), saturation (warning)"


def test_a_cure_is_followed_by_the_command_that_writes_it() -> None:
    assert text(treated()).splitlines()[-1].startswith("gradcheck fix examples/deep.py · gradcheck explain GC101")
    profile = dataclasses.replace(treated().profiles[0], target="my models/a\x1b.py")
    last = text(dataclasses.replace(treated(), profiles=(profile,))).splitlines()[-1]
    assert last.startswith("gradcheck fix 'my models/a\\x1b.py' · ")
    assert "gradcheck fix" not in text(treated(), hints=False)


def test_the_optimizer_is_named_once_and_where_it_differs() -> None:
    shown = text(treated()).split("warning GC202")[0]
    assert shown.count("trained with Adam, lr 0.001 (no optimizer found)") == 1
    assert shown.count("trained with Adam, lr 0.0001 (no optimizer found)\n") == 1
    assert shown.count("limit 3 decades") == 1


def test_an_optimizer_from_the_file_is_named_with_its_place() -> None:
    profile = sick().profiles[0]
    found = dataclasses.replace(profile, optimizer=OptimizerProfile(name="SGD", lr=0.1, origin="found: optimizer"))
    trial = dataclasses.replace(treated().trials[0], training=training((0.9, 0.9, 0.9), optimizer="SGD, lr 0.1"))
    shown = text(dataclasses.replace(treated(), profiles=(found,), trials=(trial,)))
    assert "trained with SGD, lr 0.1 (found: optimizer)\n" in shown


def test_a_cure_that_was_meant_for_another_finding_is_explained_there() -> None:
    report = treated()
    borrowed = dataclasses.replace(report.trials[0], code="GC202", layer="net.39", also_cures=())
    shown = text(dataclasses.replace(report, trials=(*report.trials, borrowed)))
    assert "  how to apply: ReLU in place of Sigmoid, as for GC101\n" in shown.split("warning GC202")[1]
    assert shown.count("nn.ReLU()") == 1


def one_trial(**changes: object) -> str:
    trial = dataclasses.replace(treated().trials[0], also_cures=(), **changes)
    report = dataclasses.replace(treated(), trials=(trial,))
    return text(report).split("tried on a copy")[1].split("how to apply")[0]


def test_a_trial_stands_with_the_objective_it_was_made_for() -> None:
    """A GAN has one loss for each half: the same code at the same layer is found under both."""
    report = treated()
    steep = report.findings[0]
    twin = dataclasses.replace(steep, objective="of the critic")
    own = dataclasses.replace(report.trials[0], objective="of the critic", outcome="worse")
    report = dataclasses.replace(report, findings=(steep, twin), trials=(*report.trials_for(steep), own))
    assert own not in report.trials_for(steep)
    assert report.trials_for(twin) == [own]
    assert "a cure was found for 1 of 2 findings" in summary(report)


def test_without_training_there_is_no_column_for_it() -> None:
    shown = one_trial(training=None, reason="no time is left for training")
    assert "loss after" not in shown
    assert "trained with" not in shown
    assert "no time is left for training" in shown


def test_without_an_effect_there_is_no_column_for_it() -> None:
    shown = one_trial(effect=None)
    assert "drop" not in shown
    assert "limit" not in shown
    assert "2.31 → 0.87 ± 0.05" in shown


def test_unlike_effects_are_named_one_by_one() -> None:
    first = treated().trials[0]
    other = dataclasses.replace(first, effect=Effect(label="dead units", unit="share", before=0.9, after=None, limit=0.5))
    shown = text(dataclasses.replace(treated(), trials=(first, other)))
    assert "drop in decades 17.0 → 0.3" in shown
    assert "dead units 90 % → none" in shown


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        (drop(0.3), "17.0 → 0.3"),
        (drop(-0.04), "17.0 → 0.0"),
        (drop(None), "17.0 → none"),
        (drop(math.inf), "17.0 → inf"),
        (Effect(label="a", unit="share", before=0.713, after=0.004, limit=0.5), "71 % → 0.4 %"),
        (Effect(label="a", unit="share", before=1.0, after=0.0, limit=None), "100 % → 0 %"),
        (Effect(label="a", unit="", before=4120.0, after=1.02, limit=100.0), "4120 → 1.02"),
        (Effect(label="a", unit="", before=4.1e9, after=3e-7, limit=100.0), "4.10e9 → 3.00e-7"),
        (Effect(label="a", unit="", before=12.0, after=0.0, limit=0.0), "12 → 0"),
        (Effect(label="a", unit="", before=12.0, after=None, limit=100.0), "12 → none"),
    ],
)
def test_effects_are_written_in_the_terms_of_the_finding(measured: Effect, shown: str) -> None:
    assert str(effect(measured)) == shown


def runs(*ends: float, start: float = 2.31) -> TrainingRuns:
    return TrainingRuns(start=(start,) * len(ends), end=ends)


@pytest.mark.parametrize(
    ("probe", "shown"),
    [
        (training((0.87, 0.82, 0.92)), "2.31 → 0.87 ± 0.05"),  # medians, and half of the largest difference
        (training((0.87, 0.87, 0.87)), "2.31 → 0.87 ± 0.00"),
        (training((0.0123, 0.012, 0.013)), "2.31 → 0.0123 ± 0.0005"),
        (training((1e-9, 1e-9, 1.2e-9)), "2.31 → 1.00e-9 ± 1.0e-10"),
        (training((2.5, 9.0, 3.0), verdict="worse"), "2.31 → 3.00 ± 3.25"),
        (training((812.0, 790.0, 850.0), verdict="diverged"), "2.31 → diverges"),
        (training((math.inf,) * 3, verdict="diverged"), "2.31 → diverges"),
        (training((math.nan, 0.9, 0.8), verdict="diverged"), "2.31 → 1 of 3 diverge"),
        (training((0.9, 0.9, 0.8), original=runs(math.inf, math.nan, math.inf)), "diverges → 0.900 ± 0.050"),
        (training((1.0e6, 1.1e6, 1.2e6), original=runs(2e6, 2e6, 2e6)), "2.00e6 → 1.10e6 ± 1.0e5"),
        (training((0.9, 0.91, 0.95), comparable=False), "falls 0 % → falls 61 %"),
        (training((4.0, 4.1, 4.2), comparable=False, verdict="worse"), "falls 0 % → rises 77 %"),
        (training((math.nan, 4.1, 4.2), comparable=False, verdict="diverged"), "falls 0 % → 1 of 3 diverge"),
    ],
)
def test_losses_are_medians_with_half_their_spread(probe: object, shown: str) -> None:
    assert str(loss(probe)) == shown


def test_arrows_stand_below_each_other_and_words_do_not_push_them() -> None:
    column = aligned([effect(drop(v)) for v in (0.3, 12.4, None)], "-")
    assert column == ["17.0 →  0.3", "17.0 → 12.4", "17.0 → none"]
    shares = [Effect(label="a", unit="share", before=2.8e-4, after=after, limit=0.02) for after in (0.62, 5.8e-4)]
    assert aligned([effect(share) for share in shares], "-") == ["0.028 % → 62 %", "0.028 % → 0.058 %"]
    assert aligned([None], "not trained") == ["not trained"]


def _renamed(trial: Trial, name: str) -> Trial:
    return dataclasses.replace(trial, title=name, reason=name, new_findings=(name,), also_cures=(name,))


def _hostile(name: str) -> Report:
    report = treated()
    probe = dataclasses.replace(training((0.9, 0.9, 0.9)), optimizer=name)
    trials = [dataclasses.replace(_renamed(t, name), training=probe if t.training else None) for t in report.trials]
    named = [dataclasses.replace(p, title=name, reason=name, action=name, why=name, snippet=name) for p in report.prescriptions]
    first = trials[0]
    trials[0] = dataclasses.replace(first, effect=dataclasses.replace(drop(1.0), label=name, unit=name))
    return dataclasses.replace(report, trials=tuple(trials), prescriptions=tuple(named))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(("color", "width"), [(False, None), (True, None), (False, 60), (True, 100)])
def test_hostile_words_command_nothing(name: str, color: bool, width: int | None) -> None:
    shown = text(_hostile(name), width=width, color=color, verbose=True)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", shown)  # colour is ours, everything else would be theirs
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", bare)
    assert not re.search(r"^\s*::", bare, re.MULTILINE)
    assert clean(name) in bare


@given(st.text(st.characters(), min_size=1, max_size=30), st.sampled_from([None, 40, 80]))
@settings(max_examples=30, deadline=None)
def test_no_word_reaches_the_screen_as_anything_but_text(name: str, width: int | None) -> None:
    assert all(line.isprintable() for line in text(_hostile(name), width=width).split("\n"))
