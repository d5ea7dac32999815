"""prescribe(): the remedies fit the evidence, and the snippets speak of the user's own layers."""

import ast
import dataclasses

import pytest

from gradcheck_cli.records import Finding, OptimizerProfile, SourceSite
from gradcheck_cli.remedies import prescribe
from gradcheck_cli.remedies.catalogue_reader import COSTS
from gradcheck_cli.remedies.evidence import evidence
from gradcheck_cli.remedies.snippets import accessor
from gradcheck_cli.remedies.surroundings import surroundings
from gradcheck_cli.rules.examples import input_of, layer_of, objective_of, parameter_of, profile_of

SITE = SourceSite(file="model.py", line=14)


def _network(activation="Sigmoid", linear="Linear", depth=10, norm=None, **fields):
    layers, parameters = [], []
    shape = (64, 64, 3, 3) if "Conv" in linear else (64, 64)
    for i in range(depth):
        layers.append(layer_of(f"net.{3 * i}", linear, shape=(16, 64, 8, 8) if "Conv" in linear else (16, 64)))
        layers += [layer_of(f"net.{3 * i + 1}", norm)] if norm else []
        layers.append(layer_of(f"net.{3 * i + 2}", activation, site=SITE))
        parameters.append(parameter_of(f"net.{3 * i}.weight", shape=shape))
    return profile_of(*layers, parameters=tuple(parameters), **fields)


def _vanishing(profile, **facts):
    blamed = [x.name for x in profile.layers if x.role == "activation"]
    known = {"drop": 9.0, "blame_role": "activation", "blame_kind": "sigmoid", "blame_layers": blamed, "linear_gain": -0.2}
    return Finding(code="GC101", severity="error", layer=blamed[0], site=SITE, message="m", facts=known | facts)


def _ids(profile, finding):
    return [p.remedy for p in prescribe((profile,), (finding,))]


def test_a_deep_sigmoid_network_is_told_to_switch_to_relu():
    profile = _network(batch_size=64)
    given = prescribe((profile,), (_vanishing(profile),))
    relu = next(p for p in given if p.remedy == "relu")
    assert "model.net[2] = nn.ReLU()  # was Sigmoid, model.py:14, and 9 more like it" in relu.snippet
    assert "kaiming" in relu.snippet
    assert (relu.code, relu.layer, relu.status) == ("GC101", "net.2", "not tried")
    assert "xavier-initialisation" not in [p.remedy for p in given]  # no weights make up for a sigmoid's quarter


def test_least_invasive_first():
    profile = _network("Tanh", batch_size=64)
    costs = [COSTS.index(p.cost) for p in prescribe((profile,), (_vanishing(profile, blame_kind="tanh"),))]
    assert costs == sorted(costs)
    assert len(set(costs)) >= 4


def test_what_only_lets_training_cope_comes_after_what_may_remove_the_cause():
    profile = _network("ReLU", batch_size=64)
    growth = Finding(code="GC102", severity="error", layer="net.0", message="m", facts={"growth": 9.0, "blame_role": "linear"})
    given = _ids(profile, growth)
    symptoms = {"clip-gradient-norm", "clip-gradient-value", "warm-up", "lower-learning-rate"}
    assert {"he-initialisation", "batch-norm"} <= set(given)
    assert set(given[-4:]) == symptoms


@pytest.mark.parametrize(
    ("network", "batch", "expected", "refused"),
    [
        ({"linear": "Conv2d"}, 32, {"batch-norm"}, {"group-norm", "layer-norm"}),
        ({"linear": "Conv2d"}, 4, {"group-norm"}, {"batch-norm", "layer-norm"}),
        ({}, 4, {"layer-norm"}, {"batch-norm", "group-norm"}),
        ({}, 64, {"batch-norm"}, {"group-norm"}),
        ({"norm": "LayerNorm"}, 64, set(), {"batch-norm", "layer-norm", "group-norm", "lsuv", "selu"}),
    ],
)
def test_the_norm_fits_network_and_batch(network, batch, expected, refused):
    profile = _network(batch_size=batch, **network)
    given = set(_ids(profile, _vanishing(profile)))
    assert expected <= given
    assert not refused & given


def test_batch_norm_has_the_dimensions_of_the_layer():
    profile = _network("Tanh", "Conv2d", batch_size=32)
    snippet = next(p.snippet for p in prescribe((profile,), (_vanishing(profile),)) if p.remedy == "batch-norm")
    assert "nn.BatchNorm2d(64)" in snippet


def test_no_skip_where_there_is_one_and_none_where_widths_never_agree():
    profile = _network(batch_size=64)
    assert "residual-connection" in _ids(profile, _vanishing(profile))
    assert "residual-connection" not in _ids(profile, _vanishing(profile, has_skip=True))
    funnel = tuple(dataclasses.replace(p, value=parameter_of("a.weight", shape=(64, 32)).value) for p in profile.parameters)
    assert "residual-connection" not in _ids(dataclasses.replace(profile, parameters=funnel), _vanishing(profile))


def test_relu_is_not_told_to_switch_to_relu():
    profile = _network("ReLU", batch_size=64)
    given = _ids(profile, _vanishing(profile, blame_role="linear", blame_kind="linear"))
    assert "he-initialisation" in given
    assert not {"relu", "xavier-initialisation"} & set(given)


def test_an_adaptive_optimizer_is_offered_only_without_one_and_only_for_mild_drops():
    mild = dataclasses.replace(_vanishing(_network()), severity="warning")
    sgd = _network(optimizer=OptimizerProfile(name="SGD", lr=0.1, origin="found"))
    adam = _network(optimizer=OptimizerProfile(name="AdamW", lr=1e-3, origin="found"))
    assert "adaptive-optimizer" in _ids(sgd, mild)
    assert "adaptive-optimizer" not in _ids(sgd, _vanishing(sgd))
    assert "adaptive-optimizer" not in _ids(adam, mild)


def test_functional_activations_are_edited_in_the_forward_method():
    relus = [
        layer_of(f"block.{i}/sigmoid", "sigmoid", role="activation", functional=True, parent=f"block.{i}") for i in range(8)
    ]
    profile = profile_of(*[x for i, r in enumerate(relus) for x in (layer_of(f"block.{i}.fc"), r)])
    snippet = next(p.snippet for p in prescribe((profile,), (_vanishing(profile),)) if p.remedy == "relu")
    assert snippet.startswith("# in the forward method of model.block[0] (model.py:14): torch.relu(x) instead of sigmoid(x)")
    assert "nn.ReLU()" not in snippet


def _through_time(kind, **facts):
    layer = layer_of("rnn", kind, facts={"hidden_size": 32.0, "num_layers": 2.0})
    weight = parameter_of("rnn.weight_ih_l0", shape=(32, 8), layer="rnn")
    profile = profile_of(layer, layer_of("head"), parameters=(weight,))
    known = {"steps": 100, "gated": kind != "RNN", "blame_kind": kind.lower(), "hand_written": False} | facts
    return profile, Finding(code="GC103", severity="error", layer="rnn", message="m", facts=known)


def test_a_plain_rnn_is_told_to_become_a_gru_or_an_lstm_with_its_own_sizes():
    profile, finding = _through_time("RNN")
    given = {p.remedy: p.snippet for p in prescribe((profile,), (finding,))}
    assert "model.rnn = nn.GRU(8, 32, num_layers=2," in given["gru"]
    assert {"lstm", "orthogonal-recurrence", "attention-over-time"} <= set(given)
    assert "truncate-time" not in given  # it cannot bring back what vanishes


def test_gated_layers_are_told_to_remember_not_to_become_gated():
    profile, finding = _through_time("LSTM")
    given = _ids(profile, finding)
    assert "forget-gate-bias" in given
    assert not {"gru", "lstm", "update-gate-bias"} & set(given)


def test_the_clip_threshold_is_measured():
    parameters = [parameter_of(f"l{i}.weight", shape=(10, 10), gradient=0.01) for i in range(4)]
    parameters[0] = parameter_of("l0.weight", shape=(10, 10), gradient=1e6)
    profile = profile_of(layer_of("l0"), parameters=tuple(parameters))
    finding = Finding(code="GC102", severity="error", layer="l0", message="m", facts={})
    snippet = next(p.snippet for p in prescribe((profile,), (finding,)) if p.remedy == "clip-gradient-norm")
    assert "max_norm=0.2" in snippet  # median norm 0.1 times √4


def test_a_remedy_uses_the_profile_of_its_own_objective():
    first = _network("Sigmoid", objective=objective_of(name="d loss"))
    second = _network("Tanh", objective=objective_of(name="g loss"))
    finding = dataclasses.replace(_vanishing(second), objective="g loss")
    assert evidence(surroundings(second), finding)["activation"] == "tanh"
    given = prescribe((first, second), (finding,))
    assert any("was Tanh" in p.snippet for p in given)


def test_an_excused_suspect_gets_no_remedy_but_a_plain_note_does():
    profile = _network()
    excused = dataclasses.replace(_vanishing(profile), severity="note", confirmed="gone after 20 steps")
    assert prescribe((profile,), (excused,)) == ()
    idle = Finding(code="GC401", severity="note", layer="net.0", message="m", facts={"kind": "idle"})
    assert _ids(profile, idle) == ["freeze-idle"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "model"),
        ("net.3", "model.net[3]"),
        ("blocks.0.attn/softmax", "model.blocks[0].attn"),
        ("layers.a-b.fc", "model.layers._modules['a-b'].fc"),
        ("x\nimport os", "model._modules['x\\nimport os']"),
    ],
)
def test_accessor(name, expected):
    assert accessor(name) == expected


def test_hostile_names_stay_inside_comments_and_strings():
    evil = "a\nimport os  # ${x}"
    layers = [layer_of(f"{evil}{i}", "Sigmoid" if i % 2 else "Linear", site=SourceSite(file=evil, line=1)) for i in range(12)]
    profile = profile_of(*layers, target=evil, batch=(input_of(evil, rms=500.0),))
    finding = dataclasses.replace(_vanishing(profile), layer=layers[1].name, site=layers[1].site)
    for prescription in prescribe((profile,), (finding,)):
        tree = ast.parse(prescription.snippet)
        assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
