"""The number behind a finding: beyond the limit where the rule fires, within it where it is silent."""

import dataclasses
import math

import pytest

from gradcheck_cli.records import Effect, Finding, TimeProfile
from gradcheck_cli.rules import load_rules
from gradcheck_cli.rules.effect import improvement, measure_effect
from gradcheck_cli.rules.examples import layer_of, objective_of, parameter_of, profile_of, units_of
from gradcheck_cli.rules.selection import limits_of
from gradcheck_cli.settings import Settings

FILES = load_rules()
BY_CODE = {file.rule.code: file for file in FILES}
SETTINGS = Settings(target="")


def _raised(file, profile):
    return list(file.check(profile, limits_of(file.rule, SETTINGS)))


def _beyond(file, finding, reading):
    """Whether the number is on the ill side; a number at its limit is on both."""
    if reading is None or reading.limit is None:
        return False
    low = file.effect.worse == "below" or (file.effect.worse == "either" and reading.limit < 1)
    return reading.value < reading.limit if low else reading.value > reading.limit


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.rule.code)
def test_the_number_is_beyond_the_limit_where_the_rule_fires(file):
    limits = limits_of(file.rule, SETTINGS)
    for example in file.fires:
        profile = example()
        for finding in _raised(file, profile):
            reading = file.measure(profile, finding, limits)
            assert reading is not None
            assert reading.limit is not None
            assert _beyond(file, finding, reading) or reading.value == reading.limit, finding.message


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.rule.code)
def test_the_number_is_within_the_limit_where_the_rule_is_silent(file):
    limits = limits_of(file.rule, SETTINGS)
    findings = [f for example in file.fires for f in _raised(file, example())]
    for example in file.clean:
        for finding in findings:
            assert not _beyond(file, finding, file.measure(example(), finding, limits)), finding.message


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.rule.code)
def test_an_edit_that_changes_nothing_improves_nothing(file):
    for example in file.fires:
        profile = example()
        for finding in _raised(file, profile):
            effect = measure_effect(finding, (profile,), (profile,), SETTINGS)
            assert effect.before == effect.after
            assert improvement(effect) == 0.0


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.rule.code)
def test_a_healthy_copy_is_a_full_improvement(file):
    for example in file.fires:
        for finding in _raised(file, example()):
            for clean in file.clean:
                effect = measure_effect(finding, (example(),), (clean(),), SETTINGS)
                assert improvement(effect) == 1.0, (finding.message, effect)


def test_label_and_unit_name_one_quantity():
    """An Effect keeps no more of its rule than these, so two rules that share them must agree on the scale."""
    seen = {}
    for file in FILES:
        assert seen.setdefault((file.effect.label, file.effect.unit), file.effect) == file.effect
    assert {file.effect.unit for file in FILES} <= {"decades", "share", ""}


@pytest.mark.parametrize(
    ("code", "fact"),
    [
        ("GC101", "drop"), ("GC105", "weight_share"), ("GC106", "update_ratio"), ("GC201", "dead_share"),
        ("GC202", "saturated_share"), ("GC203", "variation"), ("GC204", "decades"), ("GC104", "decades"),
        ("GC302", "parameters"), ("GC401", "parameters"), ("GC402", "share"), ("GC602", "ratio"), ("GC604", "values"),
        ("GC607", "ratio"), ("GC405", "dependence"),
    ],
)  # fmt: skip
def test_the_number_is_that_of_the_message(code, fact):
    file = BY_CODE[code]
    for example in file.fires:
        for finding in _raised(file, example()):
            if fact in finding.facts:
                reading = file.measure(example(), finding, limits_of(file.rule, SETTINGS))
                assert reading.value == pytest.approx(finding.facts[fact])


def _effect(before, after, limit, code="GC101"):
    quantity = BY_CODE[code].effect
    return Effect(label=quantity.label, unit=quantity.unit, before=before, after=after, limit=limit)


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (_effect(17.0, 10.0, 3.0), 0.5),  # 7 of 14 decades too many are gone
        (_effect(17.0, 0.4, 3.0), 1.0),
        (_effect(17.0, 31.0, 3.0), -1.0),
        (_effect(17.0, None, 3.0), 1.0),
        (_effect(17.0, 17.0, None), 1.0),  # the rule does not judge it any more
        (_effect(17.0, math.nan, 3.0), -math.inf),
        (_effect(13.0, 26.0, 40.0), 1.0),  # the copy has a higher limit
        (_effect(2.0, 4.0, 3.0), -1.0),
        (_effect(1000.0, 100.0, 10.0, "GC602"), 0.5),  # one of two decades
        (_effect(1e-8, 1e-7, 1e-6, "GC106"), 0.5),  # too low
        (_effect(100.0, 10.0, 1.0, "GC106"), 0.5),  # too high
        (_effect(2.0, 2.0, 2.0, "GC604"), 0.0),
        (_effect(2.0, 16.0, 2.0, "GC604"), 1.0),
        (_effect(2.0, 1.0, 2.0, "GC604"), -1.0),
        (_effect(0.0, 0.3, 0.0, "GC405"), 1.0),
    ],
)
def test_improvement_is_the_share_of_the_excess_that_is_gone(effect, expected):
    assert improvement(effect) == pytest.approx(expected)


def test_the_effect_is_read_under_the_finding_s_objective():
    def chain(gain, name):
        layers = [layer_of(f"net.{i}", gradient=0.01 * gain ** (11 - i)) for i in range(12)]
        return profile_of(*layers, objective=objective_of(name=name))

    finding = dataclasses.replace(_raised(BY_CODE["GC101"], chain(0.3, "g loss"))[0], objective="g loss")
    before = (chain(0.9, "d loss"), chain(0.3, "g loss"))
    after = (chain(0.9, "d loss"), chain(0.8, "g loss"))
    effect = measure_effect(finding, before, after, SETTINGS)
    assert effect.before == pytest.approx(-11 * math.log10(0.3))
    assert effect.after == pytest.approx(-11 * math.log10(0.8))


def test_what_one_loss_of_two_reaches_counts_as_reached():
    generator = parameter_of("g.weight", gradient=None, moves_loss=True)
    discriminator = parameter_of("d.weight")
    first = profile_of(layer_of("g", gradient=None), layer_of("d"), parameters=(generator, discriminator))
    finding = _raised(BY_CODE["GC401"], first)[0]
    reached = profile_of(layer_of("g"), layer_of("d"), parameters=(parameter_of("g.weight"), discriminator))
    second = dataclasses.replace(reached, objective=objective_of(name="second"))
    effect = measure_effect(finding, (first,), (first, second), SETTINGS)
    assert (effect.before, effect.after) == (1.0, 0.0)


def test_dead_units_are_followed_at_their_layer_and_else_at_the_worst():
    def net(name, activation, dead, other):
        return profile_of(
            layer_of("a"),
            layer_of(name, activation, units=units_of(activation.lower(), dead=dead)),
            layer_of("b"),
            layer_of("last", "ReLU", units=units_of("relu", dead=other)),
        )

    before = net("act", "ReLU", 1.0, 0.4)
    finding = _raised(BY_CODE["GC201"], before)[0]
    assert measure_effect(finding, (before,), (net("act", "LeakyReLU", 0.0, 0.4),), SETTINGS).after == 0.0
    assert measure_effect(finding, (before,), (net("new", "LeakyReLU", 0.0, 0.4),), SETTINGS).after == 0.4


def _through_time(kind, decay, horizon=None, steps=200):
    time = TimeProfile(
        layer="rnn", kind=kind, gated=kind != "RNN", hand_written=False, steps=steps, l2=(1.0,), decay=decay, horizon=horizon
    )
    return profile_of(layer_of("rnn", kind), layer_of("head"), times=(time,))


def test_a_gated_layer_with_a_long_memory_has_no_limit():
    before = _through_time("RNN", -0.27)
    finding = _raised(BY_CODE["GC103"], before)[0]
    gru = measure_effect(finding, (before,), (_through_time("GRU", -0.1, horizon=20),), SETTINGS)
    assert (gru.before, gru.after, gru.limit) == (pytest.approx(54.0), pytest.approx(20.0), None)
    assert improvement(gru) == 1.0
    rnn = measure_effect(finding, (before,), (_through_time("RNN", -0.165),), SETTINGS)
    assert rnn.limit == 12.0
    assert improvement(rnn) == pytest.approx(0.5)


def test_limits_come_from_the_settings():
    file = BY_CODE["GC101"]
    profile = file.fires[0]()
    strict = dataclasses.replace(SETTINGS, rules={"GC101": {"steady-warning": 1.5}})
    assert measure_effect(_raised(file, profile)[0], (profile,), (profile,), strict).limit == 1.5


def test_a_finding_that_nothing_can_read_is_no_improvement():
    finding = Finding(code="GC101", severity="error", layer="net.0", message="m")
    nothing = profile_of(layer_of("a"), spines=())
    effect = measure_effect(finding, (nothing,), (BY_CODE["GC101"].fires[0](),), SETTINGS)
    assert math.isnan(effect.before)
    assert improvement(effect) == 0.0
