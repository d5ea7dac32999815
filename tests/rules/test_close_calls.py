"""close_calls(): which limits the exit code hangs on, what turns it, and what does not count."""

import dataclasses
import json

import pytest

from gradcheck_cli.records import CloseCall, Confirmation, TrainedProbe, from_dict, to_dict
from gradcheck_cli.rules.close_calls import MARGINS, close_calls
from gradcheck_cli.rules.examples import (
    input_of,
    layer_of,
    objective_of,
    parameter_of,
    profile_of,
    stats_of,
    units_of,
)
from gradcheck_cli.rules.judge import judge
from gradcheck_cli.settings import Settings


def _calls(*profiles, counted=tuple, **settings):
    return close_calls(profiles, Settings(target="", **settings), counted)


def _fails(*profiles, **settings):
    bar = ("error", "warning", "note").index(settings.get("fail_on", "error"))
    found = judge(profiles, Settings(target="", **settings))
    return any(("error", "warning", "note").index(f.severity) <= bar for f in found)


def _chain(steady, layers=12, **fields):
    """A chain whose gradient shrinks steadily by so many decades, without the two largest steps."""
    gain = 10 ** (-steady / (layers - 3))
    return profile_of(*[layer_of(f"net.{i}", gradient=0.01 * gain ** (layers - 1 - i)) for i in range(layers)], **fields)


def _dead(share, units=32, **fields):
    relu = layer_of("net.1", "ReLU", units=units_of("relu", dead=share, units=units))
    return profile_of(layer_of("net.0"), relu, layer_of("net.2"), **fields)


def _looked(profile, repeats=(), trained=None):
    probes = () if trained is None else (TrainedProbe(optimizer="Adam", steps=20, losses=(2.0, 1.0), profile=trained),)
    return dataclasses.replace(profile, confirmation=Confirmation(repeats=tuple(repeats), trained=probes))


OVERCONFIDENT = {"objective": objective_of(class_loss=21.0, uniform_loss=2.3, classes=10)}  # 9.1 times ln C


class TestNearAndFar:
    @pytest.mark.parametrize(("steady", "verdict"), [(4.3, "fails"), (3.7, "passes")])
    def test_a_limit_on_either_side(self, steady, verdict):
        (call,) = _calls(_chain(steady))
        assert (call.code, call.name, call.limit, call.value) == ("GC101", "vanishing-gradient", "steady-error", 4.0)
        assert (call.verdict, call.unit, call.layer) == (verdict, "decades", "net.1")
        assert call.turns_at == pytest.approx(steady, abs=0.02)

    @pytest.mark.parametrize("steady", [4.3, 3.7])
    def test_the_verdict_turns_at_the_number_and_not_before(self, steady):
        (call,) = _calls(_chain(steady))
        before = call.value + 0.95 * (call.turns_at - call.value)
        verdicts = [_fails(_chain(steady), rules={"GC101": {"steady-error": x}}) for x in (call.value, before, call.turns_at)]
        assert verdicts == [verdicts[0], verdicts[0], not verdicts[0]]
        assert float(f"{call.turns_at:.3g}") == call.turns_at  # what is shown is what holds

    @pytest.mark.parametrize("steady", [0.0, 2.5, 5.5, 12.0])
    def test_far_from_every_limit(self, steady):
        assert _calls(_chain(steady)) == ()

    def test_the_limit_of_the_settings_is_the_one_that_is_moved(self):
        assert _calls(_chain(5.5)) == ()
        (call,) = _calls(_chain(5.5), rules={"vanishing-gradient": {"steady-error": 6}})
        assert (call.value, call.verdict) == (6.0, "passes")

    @pytest.mark.parametrize("value", [0.0, float("inf"), float("nan")])
    def test_a_limit_that_cannot_be_moved(self, value):
        assert _calls(_chain(5.0), rules={"GC101": {"steady-error": value}}, select=("GC101",)) == ()

    def test_one_limit_of_a_rule_and_the_nearest_rule_first(self):
        objective = objective_of("mse", target=stats_of(900.0), output=stats_of(0.1))
        profile = profile_of(objective=objective, batch=(input_of(rms=49.0),))
        assert [(c.code, c.limit) for c in _calls(profile)] == [("GC601", "rms-error"), ("GC607", "ratio-error")]

    def test_a_ratio_is_close_within_a_factor_of_two(self):
        def targets(ratio):
            return profile_of(objective=objective_of("mse", target=stats_of(ratio), output=stats_of(0.1)))

        assert [c.verdict for ratio in (550.0, 1900.0) for c in _calls(targets(ratio))] == ["passes", "fails"]
        assert [_calls(targets(ratio)) for ratio in (450.0, 2100.0)] == [(), ()]

    def test_no_share_is_above_one(self):
        assert _calls(_dead(1.0)) == ()
        assert _calls(_looked(_dead(1.0), trained=_dead(1.0))) == ()
        (call,) = _calls(_dead(0.96))
        assert (call.limit, call.turns_at) == ("error-share", 0.961)

    def test_the_record_goes_through_json(self):
        (call,) = _calls(_chain(4.3))
        assert from_dict(CloseCall, json.loads(json.dumps(to_dict(call), allow_nan=False))) == call


class TestTheWholeScan:
    def test_two_causes_hang_on_no_single_limit(self):
        assert _calls(_chain(4.3, batch=(input_of(rms=55.0),))) == ()

    def test_what_another_finding_explains_decides_nothing(self):
        broken = {"batch": (input_of(stats=stats_of(nonfinite=1)),), "objective": objective_of(value=float("nan"))}
        for steady in (3.7, 4.3):
            assert _calls(_chain(steady, **broken)) == ()
            assert len(_calls(_chain(steady, **broken), ignore=("GC603",))) == 1

    def test_a_limit_may_decide_whether_another_rules_finding_is_explained(self):
        (call,) = _calls(_dead(0.97, batch=(input_of(rms=10.4),)), rules={"GC201": {"error-share": 0.5}})
        assert (call.code, call.limit, call.verdict) == ("GC601", "rms", "passes")
        assert (call.other, call.layer) == ("GC201", "net.1")
        assert call.turns_at == pytest.approx(10.4, abs=0.1)

    def test_and_the_other_way_round(self):
        (call,) = _calls(_dead(1.0, batch=(input_of(rms=9.6),)))
        assert (call.code, call.verdict, call.other, call.layer) == ("GC601", "fails", "GC201", "net.1")

    def test_its_own_finding_needs_no_other_code(self):
        assert _calls(_chain(4.3))[0].other == ""

    def test_the_objectives_are_judged_together(self):
        profiles = [_chain(steady, objective=objective_of(name=name)) for steady, name in ((4.2, "x"), (4.4, "y"))]
        (call,) = _calls(*profiles)
        assert call.turns_at == pytest.approx(4.4, abs=0.02)


class TestSettings:
    def test_a_warning_decides_only_where_it_fails_the_scan(self):
        assert _calls(profile_of(**OVERCONFIDENT)) == ()
        (call,) = _calls(profile_of(**OVERCONFIDENT), fail_on="warning")
        assert (call.code, call.verdict) == ("GC602", "passes")

    def test_a_severity_of_the_settings(self):
        (call,) = _calls(profile_of(**OVERCONFIDENT), rules={"GC602": {"severity": "error"}})
        assert call.code == "GC602"
        assert _calls(_chain(4.3), rules={"GC101": {"severity": "note"}}) == ()

    def test_a_note_can_fail_a_scan(self):
        (call,) = _calls(_chain(1.9), fail_on="note")
        assert (call.limit, call.verdict) == ("steady-note", "passes")

    @pytest.mark.parametrize("settings", [{"ignore": ("GC101",)}, {"select": ("GC2",)}])
    def test_a_rule_that_is_not_asked(self, settings):
        assert _calls(_chain(4.3), **settings) == ()


class TestSuppressed:
    def test_what_is_accepted_never_decides(self):
        def counted(found):
            return [f for f in found if f.code != "GC101"]

        assert _calls(_chain(4.3), counted=counted) == ()
        assert _calls(_chain(3.7), counted=counted) == ()

    def test_what_is_accepted_is_no_second_cause(self):
        def counted(found):
            return [f for f in found if f.code != "GC601"]

        (call,) = _calls(_chain(4.3, batch=(input_of(rms=55.0),)), counted=counted)
        assert call.code == "GC101"

    def test_it_is_asked_only_where_something_else_is_raised(self):
        asked = []

        def counted(found):
            asked.append(found)
            return found

        _calls(_chain(0.0), counted=counted)
        assert asked == [()]
        _calls(_chain(8.0, batch=(input_of(rms=9.5),)), counted=counted)  # GC601 is near, but cannot undo what fails
        assert [[f.code for f in found] for found in asked] == [[], ["GC101"]]


class TestSecondLook:
    def test_without_one_it_could_still_excuse_what_would_be_raised(self):
        assert [c.looked_again for c in _calls(_chain(3.7))] == [False]
        assert [c.looked_again for c in _calls(_looked(_chain(3.7), [_chain(3.7)]))] == [True]
        assert [c.looked_again for c in _calls(_chain(4.3))] == [True]  # it fails as it is: nothing is left to excuse it

    def test_the_median_over_seeds_is_what_turns(self):
        (call,) = _calls(_looked(_chain(4.6), [_chain(4.2), _chain(4.3)]))
        assert call.turns_at == pytest.approx(4.3, abs=0.02)
        assert not call.of_the_copy

    @pytest.mark.parametrize(("after", "verdict"), [(1.0, "passes"), (4.6, "fails")])
    def test_a_trained_copy_has_a_wider_margin(self, after, verdict):
        sick = _chain(5.6)
        (call,) = _calls(_looked(sick, [sick, sick], _chain(after)))
        assert (call.limit, call.verdict, call.of_the_copy) == ("steady-warning", verdict, True)
        assert call.turns_at == pytest.approx(after, abs=0.02)

    def test_a_copy_far_from_the_limit(self):
        sick = _chain(5.6)
        assert _calls(_looked(sick, [sick, sick], _chain((1 - MARGINS.trained) * 3.0 - 0.1))) == ()
        assert _calls(_looked(_chain(9.0), [_chain(9.0)], _chain(9.0))) == ()

    def test_what_the_other_looks_say_is_not_the_copys_doing(self):
        sick = _chain(5.6)
        assert _calls(_looked(sick, [sick, sick], sick)) == ()  # only from 5.6 on would it pass, and the seeds say so as well

    def test_a_rule_that_raises_nothing_asks_no_copy(self):
        well = profile_of(layer_of("net.0"), parameters=(parameter_of("net.0.weight"),))
        assert _calls(_looked(well, [well], well)) == ()
