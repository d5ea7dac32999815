"""The edits of the catalogue: well formed, made by a file each, and resolved to the layers that they should change."""

import dataclasses
import importlib.resources

import pytest

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.records import Edit, Finding, OptimizerProfile
from gradcheck_cli.remedies import prescribe
from gradcheck_cli.remedies.catalogue_reader import load_catalogue, read_remedies
from gradcheck_cli.remedies.edit_kinds import KINDS, SCOPES
from gradcheck_cli.rules import load_rules
from gradcheck_cli.rules.examples import layer_of, objective_of, parameter_of, profile_of, stats_of
from gradcheck_cli.rules.selection import limits_of
from gradcheck_cli.settings import Settings

GOOD = """
- id: a
  title: A
  answers: [{codes: [GC101]}]
  action: Do.
  why: Because.
  cost: data
  applicability: safe
  edits: [{kind: activation, scope: activations, to: relu}, {kind: learning_rate, lr: $better_lr}]
  sources: [x]
  snippet: pass
"""


RANGE = {"low": -1.0, "high": 1.0}


def _mlp(activation="Sigmoid", depth=4, last=None, **fields):
    layers = []
    for i in range(depth):
        layers += [layer_of(f"net.{2 * i}"), layer_of(f"net.{2 * i + 1}", activation)]
    layers.append(layer_of("head"))
    layers += [layer_of("out", last)] if last else []
    values = {"objective": objective_of(output_activation=last.lower() if last else None)}
    values["parameters"] = tuple(parameter_of(f"{x.name}.weight") for x in layers if x.kind == "Linear")
    return profile_of(*layers, **(values | fields))


def _finding(code, layer="", **fields):
    values = {"severity": "error", "message": "m", "facts": {}}
    return Finding(code=code, layer=layer, **(values | fields))


def _edits(profile, finding, remedy):
    return next(p for p in prescribe((profile,), (finding,)) if p.remedy == remedy).edits


def test_every_kind_is_made_by_a_file():
    made = {f.name.removesuffix(".py") for f in importlib.resources.files("gradcheck_cli.trials.edits").iterdir()}
    assert set(KINDS) <= made
    assert {e.kind for r in load_catalogue() for e in r.edits} == set(KINDS)


def test_every_scope_is_used_and_described():
    assert {e.scope for r in load_catalogue() for e in r.edits} == set(SCOPES)
    assert {s for kind in KINDS.values() for s in kind.scopes} <= set(SCOPES)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("kind: activation", "kind: activations"), "unknown kind"),
        (("scope: activations", "scope: norms"), "works on"),
        (("to: relu", "too: relu"), "unknown options ['too'], lacks ['to']"),
        (("to: relu", "to: sigmoid"), "not allowed"),
        (("lr: $better_lr", "lr: small"), "not allowed"),
        (("lr: $better_lr", "lr: .inf"), "not allowed"),
        ((", lr: $better_lr", ""), "lacks ['lr']"),
        (("[{kind: activation, scope: activations, to: relu}, ", "[relu, "), "a mapping is wanted"),
        (("  sources", "  untried: without\n  sources"), "either"),
        (("  edits:", "  untried: without\n#"), ""),
    ],
)
def test_a_wrong_edit_is_refused(change, says):
    assert len(read_remedies(GOOD, "x.yaml")[0].edits) == 2
    text = GOOD.replace(*change)
    if not says:
        assert read_remedies(text, "x.yaml")[0].untried == "without"
        return
    with pytest.raises(GradcheckError) as caught:
        read_remedies(text, "x.yaml")
    assert caught.value.id == "E675"
    assert says in caught.value.why


def test_each_prescription_has_edits_or_says_why_not():
    for file in load_rules():
        limits = limits_of(file.rule, Settings(target=""))
        for profile in (example() for example in file.fires):
            for finding in file.check(profile, limits):
                for p in prescribe((profile,), (finding,)):
                    assert bool(p.edits) != bool(p.reason), p.remedy
                    for edit in p.edits:
                        kind = KINDS[edit.kind]
                        assert set(kind.required) <= set(edit.options) <= set(kind.options)
                        assert not any(isinstance(v, str) and "$" in v for v in edit.options.values())


def _vanishing(profile):
    blamed = [x.name for x in profile.layers if x.role == "activation" and x.name != "out"]
    facts = {"blame_role": "activation", "blame_kind": "sigmoid", "blame_layers": blamed}
    return _finding("GC101", blamed[0], facts=facts)


def test_an_activation_comes_with_its_initialisation_and_the_output_keeps_its_own():
    profile = _mlp(last="Sigmoid")
    switch, draw = _edits(profile, _vanishing(profile), "relu")
    assert switch == Edit(kind="activation", layers=("net.1", "net.3", "net.5", "net.7"), options={"to": "relu"})
    assert draw.layers == ("net.0", "net.2", "net.4", "net.6", "head")
    assert draw.options["scheme"] == "he"


def test_gates_beside_the_way_to_the_loss_are_left_alone():
    profile = _mlp()
    spines = profile.spines
    gate = layer_of("gate", "Sigmoid")
    profile = dataclasses.replace(profile, layers=(*profile.layers, dataclasses.replace(gate, order=99)), spines=spines)
    assert "gate" not in _edits(profile, _vanishing(profile), "relu")[0].layers


def test_dead_units_are_switched_where_they_are_dead_and_their_bias_is_in_front():
    profile = _mlp("ReLU")
    finding = _finding("GC201", "net.3", affected=("net.5",), facts={"activation": "relu"})
    assert _edits(profile, finding, "leaky-relu")[0].layers == ("net.3", "net.5")
    assert _edits(profile, finding, "reset-bias")[0].layers == ("net.2", "net.4")


def test_functional_activations_are_named_as_in_the_profile():
    calls = [layer_of(f"/sigmoid{n}", "sigmoid", functional=True, parent="") for n in ("", "#2", "#3")]
    profile = profile_of(*[x for i, call in enumerate(calls) for x in (layer_of(f"fc{i}"), call)], layer_of("head"))
    assert _edits(profile, _vanishing(profile), "relu")[0].layers == ("/sigmoid", "/sigmoid#2", "/sigmoid#3")


def test_norms_stand_behind_hidden_layers_and_skips_around_square_ones():
    profile = _mlp(depth=6, batch_size=64)
    shapes = {"net.0.weight": (32, 8), "head.weight": (32, 32)}
    parameters = tuple(dataclasses.replace(p, value=stats_of(shape=shapes.get(p.name, (32, 32)))) for p in profile.parameters)
    profile = dataclasses.replace(profile, parameters=parameters)
    hidden = ("net.0", "net.2", "net.4", "net.6", "net.8", "net.10")
    assert _edits(profile, _vanishing(profile), "batch-norm")[0].layers == hidden
    assert _edits(profile, _vanishing(profile), "residual-connection")[0].layers == hidden[1:]  # the head makes the output


def test_one_activation_for_all_layers_stands_behind_each_of_them():
    layers = (layer_of("fc1"), layer_of("act", "Tanh", calls=3), layer_of("fc2"), layer_of("fc3"), layer_of("head"))
    profile = profile_of(*layers, batch_size=64)
    finding = _finding("GC202", "act", facts={"activation": "tanh"})
    assert _edits(profile, finding, "batch-norm")[0].layers == ("fc1", "fc2", "fc3")


def test_the_activation_goes_between_the_layers_in_a_row():
    finding = _finding("GC406", "b", affected=("a", "c"), facts={"first": "a", "second": "b"})
    profile = profile_of(layer_of("a"), layer_of("b"), layer_of("c"), layer_of("t", "Tanh"))
    edit = _edits(profile, finding, "insert-activation")[0]
    assert (edit.layers, edit.options) == (("a", "b"), {"to": "tanh"})


def test_recurrence():
    weights = (
        parameter_of("rnn.weight_ih_l0", shape=(32, 8), layer="rnn"),
        parameter_of("rnn.weight_hh_l0", layer="rnn", role="recurrent"),
    )
    profile = profile_of(layer_of("rnn", "RNN"), layer_of("head"), parameters=weights)
    facts = {"gated": False, "steps": 200, "blame_kind": "rnn", "hand_written": False}
    finding = _finding("GC103", "rnn", facts=facts)
    assert _edits(profile, finding, "orthogonal-recurrence")[0].layers == ("rnn.weight_hh_l0",)
    assert _edits(profile, finding, "gru") == (
        Edit(kind="recurrent", layers=("rnn",), options={"to": "gru"}),
        Edit(kind="bias", layers=("rnn",), options={"gate": "update", "value": 5.3}),  # a memory of ln 199
    )
    gated = dataclasses.replace(finding, facts=facts | {"gated": True, "blame_kind": "lstm"})
    assert _edits(profile, gated, "forget-gate-bias")[0].options == {"gate": "forget", "value": 5.3}  # ln 199


def test_a_loop_written_by_hand_has_its_square_weight_as_recurrence():
    weights = (parameter_of("cell.x.weight", shape=(32, 8)), parameter_of("cell.h.weight"), parameter_of("head.weight"))
    profile = profile_of(layer_of("cell", "Cell"), layer_of("cell.h"), layer_of("head"), parameters=weights)
    facts = {"gated": False, "steps": 80, "blame_kind": "cell", "hand_written": True}
    finding = _finding("GC103", "cell", facts=facts)
    assert _edits(profile, finding, "orthogonal-recurrence")[0].layers == ("cell.h.weight",)


def test_reconnecting_covers_the_modules_around_the_cut():
    finding = _finding("GC401", "net.text", affected=("net.text.0",), facts={"kind": "detached"})
    profile = profile_of(layer_of("net.text.0"), layer_of("head"))
    assert set(_edits(profile, finding, "remove-detach")[0].layers) == {"net.text", "net.text.0", "net", ""}


def test_gates_are_the_shut_factors_behind_the_starved_layer():
    layers = [layer_of(name) for name in ("before", "branch", "block", "head")]
    parameters = (
        parameter_of("before.scale", role="scale", rms=0.0, shape=(32,)),
        parameter_of("branch.weight"),
        parameter_of("block.gamma", role="scale", rms=0.0, shape=(32,)),
        parameter_of("block.bias", rms=0.0, shape=(32,)),
    )
    profile = profile_of(*layers, parameters=parameters)
    assert _edits(profile, _finding("GC105", "branch"), "open-the-gate")[0].layers == ("block.gamma",)


def test_equal_rows_are_drawn_anew_parameter_by_parameter():
    parameters = tuple(parameter_of(f"{n}.weight", identical_units=n != "c") for n in "abc")
    profile = profile_of(*(layer_of(n) for n in "abc"), parameters=parameters)
    finding = _finding("GC302", "a", parameter="a.weight", affected=("b", "c"))
    assert _edits(profile, finding, "random-initialisation")[0].layers == ("a.weight", "b.weight")


def test_without_a_learning_rate_there_is_none_to_lower():
    parameters = (parameter_of("a.weight", update_ratio=0.5), parameter_of("b.weight", update_ratio=2.0))
    finding = _finding("GC102", "a")
    sgd = OptimizerProfile(name="SGD", lr=0.1, origin="found")
    known = profile_of(layer_of("a"), parameters=parameters, optimizer=sgd)
    assert _edits(known, finding, "lower-learning-rate")[0].options == {"lr": 5e-4}  # 2.0 becomes a hundredth
    unknown = profile_of(layer_of("a"), parameters=parameters)
    lower = next(p for p in prescribe((unknown,), (finding,)) if p.remedy == "lower-learning-rate")
    assert (lower.edits, lower.reason) == ((), "no optimizer with its learning rate was found")


def test_a_clip_norm_never_exceeds_the_weights_that_it_protects():
    parameters = tuple(parameter_of(f"{n}.weight", gradient=1e7, rms=0.1, shape=(10, 10)) for n in "abcd")
    profile = profile_of(layer_of("a"), parameters=parameters)
    assert _edits(profile, _finding("GC102", "a"), "clip-gradient-norm")[0].options == {"norm": 2.0}  # √4 · 0.1 · 10


@pytest.mark.parametrize(
    ("code", "facts", "remedy", "wanted"),
    [
        ("GC601", {"problem": "scale"}, "standardise-input", {"how": "standardise"}),
        ("GC601", {"problem": "pixels"}, "scale-pixels", {"how": "pixels"}),
        ("GC601", {"problem": "feature", "feature": 7}, "rescale-feature", {"how": "feature", "feature": 7}),
        ("GC603", {}, "drop-nonfinite-rows", {"how": "finite"}),
        ("GC606", RANGE | {"activation": "tanh"}, "targets-into-range", RANGE | {"how": "range"}),
        ("GC607", {}, "standardise-targets", {"how": "standardise"}),
        ("GC106", {"direction": "high", "better_lr": 1e-3}, "lower-learning-rate", {"lr": 1e-3}),
        ("GC503", {"mended_by_scaling": True, "loss_scale": 4096.0}, "loss-scaling", {"scale": 4096.0}),
        ("GC502", {"origin": "sqrt"}, "guard-root", {"operation": "sqrt"}),
        ("GC605", {"problem": "bce-on-logits"}, "bce-with-logits", {"loss": "bce_logits"}),
    ],
)  # fmt: skip
def test_what_is_edited_beside_the_layers(code, facts, remedy, wanted):
    assert _edits(profile_of(layer_of("a")), _finding(code, facts=facts), remedy)[0].options == wanted


def test_the_softmax_that_makes_the_output_is_dropped():
    profile = profile_of(layer_of("fc"), layer_of("s", "Softmax"), objective=objective_of(output_activation="softmax"))
    finding = _finding("GC605", facts={"problem": "double-softmax", "activation": "softmax"})
    assert _edits(profile, finding, "raw-logits") == (Edit(kind="output", layers=("s",), options={"drop": True}),)


def test_a_sigmoid_gets_relu_first_and_no_weights_to_make_up_for_it():
    profile = _mlp(depth=10, batch_size=64)
    given = [p.remedy for p in prescribe((profile,), (_vanishing(profile),))]
    assert given[0] == "relu"
    assert not {"lsuv", "xavier-initialisation"} & set(given)


def test_many_findings_on_a_large_model_cost_one_look_at_it(monkeypatch):
    from gradcheck_cli.remedies import prescribing

    profile, looks = _mlp(depth=50), []
    real = prescribing.surroundings
    monkeypatch.setattr(prescribing, "surroundings", lambda p: looks.append(p) or real(p))
    prescribe((profile,), [_vanishing(profile)] * 20)
    assert len(looks) == 1


def test_residual_branches_start_small_at_their_last_layer():
    names = ("stem", "a.first", "a.act", "a.second", "b.first", "b.act", "b.second", "head")
    layers = [layer_of(name, "ReLU" if name.endswith("act") else "Linear") for name in names]
    main = profile_of(layers[0], layer_of("a"), layer_of("b"), layers[-1]).spines[0]
    segments = tuple(dataclasses.replace(s, bypassed=s.layer in "ab") for s in main.segments)
    profile = profile_of(*layers, spines=(dataclasses.replace(main, segments=segments),))
    edit = _edits(profile, _finding("GC102", "a", facts={"has_skip": True}), "small-branches")[0]
    assert (edit.layers, edit.options) == (("a.second", "b.second"), {"factor": 0.71})  # 1/√2
    drawn = _edits(profile, _finding("GC301", facts={"everywhere": True}, affected=names), "usual-scale")[0].layers
    assert drawn == ("stem", "a.first", "a.second", "b.first", "b.second", "head")


def test_a_branch_that_ends_in_its_block_is_one_also_where_the_next_block_starts_with_an_activation():
    names = ("stem", "a.act", "a.linear", "a", "b.act", "b.linear", "b", "head.act", "head")
    kinds = {"a": "Block", "b": "Block"}
    layers = {
        n: layer_of(n, kinds.get(n, "ReLU" if n.endswith("act") else "Linear"), role="container", leaf=False)
        if n in kinds
        else layer_of(n, "ReLU" if n.endswith("act") else "Linear")
        for n in names
    }
    main = profile_of(layers["stem"], layer_of("a"), layer_of("b"), layers["head"]).spines[0]
    segments = tuple(dataclasses.replace(s, bypassed=s.layer in "ab") for s in main.segments)
    profile = profile_of(*layers.values(), spines=(dataclasses.replace(main, segments=segments),))
    edit = _edits(profile, _finding("GC102", "a", facts={"has_skip": True}), "small-branches")[0]
    assert edit.layers == ("a.linear", "b.linear")


def test_nothing_reached_in_float16_is_lifted_by_a_loss_scale():
    profile = profile_of(layer_of("a"), dtype="float16")
    assert _edits(profile, _finding("GC403"), "loss-scaling")[0].options == {"scale": 65536.0}


def test_a_rectified_output_that_is_off_is_dropped():
    objective = objective_of("mse", output_activation="relu")
    profile = profile_of(layer_of("fc"), layer_of("last", "ReLU"), objective=objective)
    edit = Edit(kind="output", layers=("last",), options={"drop": True})
    assert _edits(profile, _finding("GC403"), "unbounded-output") == (edit,)
