"""judge(): which rules run, the second look, several objectives, root causes, order."""

import dataclasses
import random

import pytest

from gradcheck_cli import rules
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.records import Confirmation, Finding, Rule, TrainedProbe
from gradcheck_cli.rules import judge as judging
from gradcheck_cli.rules import load_rules
from gradcheck_cli.rules.examples import input_of, layer_of, objective_of, parameter_of, profile_of, stats_of, units_of
from gradcheck_cli.rules.judge import judge, needs_second_look
from gradcheck_cli.rules.root_causes import without_victims
from gradcheck_cli.settings import Settings


def _judge(*profiles, **settings):
    return judge(profiles, Settings(target="", **settings))


def _codes(*profiles, **settings):
    return [f.code for f in _judge(*profiles, **settings)]


def _dead(share=0.97):
    return layer_of("net.1", "ReLU", units=units_of("relu", dead=share))


def _profile(*layers, **fields):
    return profile_of(layer_of("net.0"), *layers, layer_of("net.9"), **fields)


def _looked(profile, repeats=(), trained=None):
    probes = () if trained is None else (TrainedProbe(optimizer="Adam", steps=20, losses=(2.0, 1.0), profile=trained),)
    return dataclasses.replace(profile, confirmation=Confirmation(repeats=tuple(repeats), trained=probes))


HUGE = {"batch": (input_of(rms=147.0),)}
WORDY = {"objective": objective_of(class_loss=190.0, uniform_loss=2.3, classes=10)}


class TestSelection:
    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ({}, ["GC201", "GC605"]),
            ({"select": ("GC6",)}, ["GC605"]),
            ({"select": ("mismatched-output",)}, ["GC605"]),
            ({"select": ("gc605",)}, ["GC605"]),
            ({"ignore": ("GC605",)}, ["GC201"]),
            ({"ignore": ("ALL",)}, []),
            ({"select": ("GC605",), "ignore": ("GC6",)}, ["GC605"]),  # the closer selector wins
            ({"select": ("GC6",), "ignore": ("GC6",)}, []),
            ({"select": ("GC1",), "extend_select": ("dead-units",)}, ["GC201"]),
        ],
    )
    def test_selectors(self, settings, expected):
        objective = objective_of(output_activation="softmax", log_softmax_in_loss=True)
        assert _codes(_profile(_dead(), objective=objective), **settings) == expected

    def test_an_unselected_rule_never_runs(self, monkeypatch):
        def explode(profile, limits):
            raise AssertionError("ran")

        files = tuple(dataclasses.replace(f, check=explode) for f in load_rules())
        monkeypatch.setattr(judging, "load_rules", lambda: files)
        assert _judge(_profile(), ignore=("ALL",)) == ()

    @pytest.mark.parametrize(
        ("settings", "id", "do"),
        [
            ({"select": ("XY999",)}, "E678", "gradcheck rules"),
            ({"ignore": ("dead-unit",)}, "E678", "dead-units"),
            ({"rules": {"GC2011": {}}}, "E678", "GC201"),
            ({"rules": {"GC201": {"dead-shore": 0.5}}}, "E674", "dead-share"),
            ({"rules": {"GC201": {"dead-share": "much"}}}, "E675", "number"),
            ({"rules": {"GC201": {"severity": "fatal"}}}, "E675", "error, warning, note"),
        ],
    )
    def test_wrong_settings_are_told_with_a_suggestion(self, settings, id, do):
        with pytest.raises(GradcheckError) as caught:
            _judge(_profile(), **settings)
        assert caught.value.id == id
        assert do in caught.value.do

    def test_limits_and_severity_can_be_set_by_code_and_by_name(self):
        assert _codes(_profile(_dead(0.75))) == []
        assert _codes(_profile(_dead(0.9)), rules={"GC201": {"dead-share": 0.99}}) == []
        found = _judge(_profile(_dead()), rules={"dead-units": {"severity": "note"}})
        assert [(f.code, f.severity) for f in found] == [("GC201", "note")]


class TestSecondLook:
    def test_without_one_a_suspect_is_a_finding_that_asks_for_it(self):
        (found,) = _judge(_profile(_dead()))
        assert found.confirmed == ""
        assert needs_second_look([found])

    def test_a_note_and_a_decided_rule_ask_for_none(self):
        assert not needs_second_look(_judge(_profile(_dead()), rules={"GC201": {"severity": "note"}}))
        assert not needs_second_look(_judge(profile_of(objective=objective_of("bce_logits", output_activation="sigmoid"))))

    def test_confirmed_on_other_seeds_and_after_training(self):
        sick = _profile(_dead())
        (found,) = _judge(_looked(sick, [sick, sick], sick))
        assert found.severity == "error"
        assert "2 of 2" in found.confirmed
        assert "20 Adam steps" in found.confirmed

    def test_the_worst_layer_may_change_between_seeds(self):
        sick = _profile(_dead(0.97), layer_of("net.3", "ReLU", units=units_of("relu", dead=0.96)))
        other = _profile(layer_of("net.3", "ReLU", units=units_of("relu", dead=0.96)))
        (found,) = _judge(_looked(sick, [other, other]))
        assert found.severity == "error"

    @pytest.mark.parametrize("repeats", [1, 2])
    def test_half_of_the_repeats_is_no_majority(self, repeats):
        sick, well = _profile(_dead()), _profile(_dead(0.4))
        assert _codes(_looked(sick, [sick, well] * repeats)) == []

    def test_gone_after_training(self):
        sick, well = _profile(_dead()), _profile(_dead(0.4))
        assert _codes(_looked(sick, [sick, sick], well)) == []

    def test_a_softened_suspect_says_what_was_seen_and_names_the_pattern(self):
        sick = profile_of(objective=objective_of(), parameters=(parameter_of("a.weight", gradient=0.0),))
        well = profile_of(parameters=(parameter_of("a.weight"),))
        (found,) = _judge(_looked(sick, [well, well]), select=("GC403",))
        assert found.severity == "note"
        assert "0 of 2" in found.confirmed

    def test_the_pattern_is_a_part_that_training_opens(self, monkeypatch):
        file = next(f for f in load_rules() if f.rule.code == "GC201")
        monkeypatch.setattr(judging, "load_rules", lambda: (dataclasses.replace(file, unconfirmed="note"),))
        shut = parameter_of("gate.weight", rms=0.0)
        sick = _profile(_dead(), parameters=(shut,))
        well = _profile(_dead(0.4), parameters=(parameter_of("gate.weight", rms=0.1),))
        (found,) = _judge(_looked(sick, [sick], well))
        assert found.severity == "note"
        assert "`gate.weight`" in found.confirmed

    def test_a_rule_may_decide_itself(self, monkeypatch):
        file = next(f for f in load_rules() if f.rule.code == "GC201")
        decided = dataclasses.replace(file, reconsider=lambda finding, profile, limits: None)
        monkeypatch.setattr(judging, "load_rules", lambda: (decided,))
        assert len(_judge(_profile(_dead()))) == 1
        assert _judge(_looked(_profile(_dead()), [_profile(_dead())])) == ()


class TestObjectives:
    def test_unreached_under_one_loss_only_is_no_finding(self):
        def gan(reached, other):
            states = ((reached, 0.01), (other, None))
            layers = [layer_of(n, gradient=g) for n, g in states]
            parameters = tuple(parameter_of(f"{n}.weight", gradient=g, moves_loss=g is None) for n, g in states)
            return profile_of(*layers, objective=objective_of(name=f"{reached} loss"), parameters=parameters)

        assert _codes(gan("d", "g")) == ["GC401"]
        assert _codes(gan("d", "g"), gan("g", "d")) == []

    def test_unreached_under_every_loss_is_one_finding(self):
        parameters = (parameter_of("a.weight"), parameter_of("b.weight", gradient=None, moves_loss=True))
        losses = [profile_of(objective=objective_of(name=n), parameters=parameters) for n in "xy"]
        (found,) = _judge(*losses)
        assert (found.code, found.objective) == ("GC401", "")

    def test_the_same_finding_under_two_losses_is_told_once(self):
        losses = [_profile(_dead(), objective=objective_of(name=n)) for n in ("first", "second")]
        (found,) = _judge(*losses)
        assert found.objective == "first"


class TestRootCauses:
    def test_an_unscaled_input_explains_the_first_loss(self):
        (found,) = _judge(_profile(**HUGE, **WORDY))
        assert found.code == "GC601"
        assert ("also", "explains GC602 overconfident-start") in found.details

    def test_the_victim_stands_alone_when_its_cause_is_ignored(self):
        assert _codes(_profile(**HUGE, **WORDY), ignore=("GC601",)) == ["GC602"]

    def test_nan_in_the_data_is_the_only_finding(self):
        broken = {"objective": objective_of(value=float("nan"), class_loss=190.0, uniform_loss=2.3)}
        batch = (input_of(stats=stats_of(rms=147.0, nonfinite=1)),)
        assert _codes(_profile(_dead(), batch=batch, **broken)) == ["GC603"]

    RULES = {c: Rule(code=c, name=c.lower(), summary="", severity="error", hides=h) for c, h in
             {"A": ("B", "C"), "B": ("C",), "C": ()}.items()}  # fmt: skip

    def _left(self, *findings):
        return [(f.code, f.layer) for f in without_victims(findings, self.RULES)]

    def _finding(self, code, layer="x", **fields):
        return Finding(code=code, layer=layer, message="m", **({"severity": "error"} | fields))

    def test_only_on_shared_layers(self):
        assert self._left(self._finding("A", "x"), self._finding("B", "y")) == [("A", "x"), ("B", "y")]
        assert self._left(self._finding("A", "x", affected=("y",)), self._finding("B", "y")) == [("A", "x")]
        assert self._left(self._finding("A", "x"), self._finding("B", "z", affected=("x",))) == [("A", "x")]

    def test_a_module_covers_what_is_in_it(self):
        assert self._left(self._finding("A", "blocks.3"), self._finding("B", "blocks.3/relu")) == [("A", "blocks.3")]
        assert self._left(self._finding("A", "blocks.3"), self._finding("B", "blocks.31")) == [
            ("A", "blocks.3"),
            ("B", "blocks.31"),
        ]

    def test_the_whole_model_covers_everything(self):
        assert self._left(self._finding("A", ""), self._finding("B", "y")) == [("A", "")]
        assert self._left(self._finding("A", "x", facts={"scope": "model"}), self._finding("B", "y")) == [("A", "x")]
        assert self._left(self._finding("A", "x"), self._finding("B", "")) == [("A", "x")]

    def test_blamed_layers_count(self):
        assert self._left(self._finding("A", "x", facts={"blame_layers": ["y"]}), self._finding("B", "y")) == [("A", "x")]

    def test_a_note_explains_only_notes(self):
        assert self._left(self._finding("A", severity="note"), self._finding("B")) == [("A", "x"), ("B", "x")]
        assert self._left(self._finding("A", severity="note"), self._finding("B", severity="note")) == [("A", "x")]

    def test_a_victims_victim_is_told_with_the_root(self):
        (root,) = without_victims(
            [self._finding("A", "x"), self._finding("B", "x", affected=("y",)), self._finding("C", "y")], self.RULES
        )
        assert root.details == (("also", "explains B, C"),)


class TestOrder:
    def test_gravest_first_then_code_then_execution_order(self):
        objective = objective_of(output_activation="softmax", log_softmax_in_loss=True)
        parameters = (parameter_of("net.0.weight", shape=(64, 64)), parameter_of("f.weight", gradient=None, state="frozen"))
        found = _judge(_profile(_dead(0.9), objective=objective, parameters=parameters))
        assert [(f.severity, f.code) for f in found] == [("error", "GC605"), ("warning", "GC201"), ("note", "GC402")]
        assert all(f.name for f in found)

    def test_the_same_profile_gives_the_same_findings_in_any_order_of_rules(self, monkeypatch):
        profile = _profile(_dead(), layer_of("net.2", "Tanh", units=units_of("tanh", saturated=0.9)), **HUGE, **WORDY)
        expected = _judge(profile)
        files = list(load_rules())
        for seed in range(5):
            random.Random(seed).shuffle(files)
            monkeypatch.setattr(judging, "load_rules", lambda shuffled=tuple(files): shuffled)
            assert _judge(profile) == expected


def test_rules_are_found_by_file_name_alone():
    assert [f.rule.code for f in load_rules()] == sorted(f.rule.code for f in load_rules())
    assert rules.load_rules() is load_rules()
