import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradcheck_cli.probing.digest import digest
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.base import NotApplicable, apply
from tests.trials.prepared import data, drawn, setup

X, Y = data(12, 6), data(12, 2, seed=1)


def linear():
    return nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2))


def inserted(model, *layers, to="relu", inputs=X):
    return apply(setup(model, (inputs, Y)), [Edit(kind="insert_activation", layers=layers, options={"to": to})])


@pytest.mark.parametrize(("to", "made"), [("relu", nn.ReLU()), ("leaky_relu", nn.LeakyReLU(0.1)), ("gelu", nn.GELU())])
def test_the_network_is_the_one_written_with_the_activation_between(to, made):
    model = drawn(linear)
    by_hand = nn.Sequential(copy.deepcopy(model[0]), made, copy.deepcopy(model[1]), made, copy.deepcopy(model[2]))
    loss = F.mse_loss(by_hand(X), Y)
    loss.backward()
    edited = inserted(model, "0", "1", to=to)
    for twin in (edited.subject.model, copy.deepcopy(edited.subject.model)):
        own = edited.objective.compute(twin, edited.subject.batches[0]).loss
        twin.zero_grad()
        own.backward()
        torch.testing.assert_close(own, loss)
        for p, q in zip(twin.parameters(), by_hand.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad)


def test_the_scan_sees_no_linear_pair_any_more():
    settings, model = Settings(target="t"), drawn(linear)
    edited = inserted(model, "0")
    assert [(p.first, p.second) for p in setup(model, (X, Y)).profile.linear_pairs] == [("0", "1"), ("1", "2")]
    after = probe(edited.subject, edited.objective, settings)
    assert [(p.first, p.second) for p in after.linear_pairs] == [("1", "2")]


def test_the_layer_keeps_its_type_its_weights_and_its_state():
    model = drawn(linear)
    before = digest(model)
    edited = inserted(model, "0").subject.model
    assert type(edited[0]) is nn.Linear
    assert edited.state_dict().keys() == model.state_dict().keys()
    assert digest(model) == before


def test_a_shared_layer_is_edited_once():
    layer = drawn(lambda: nn.Linear(6, 6))
    model = nn.Sequential(layer, layer, drawn(lambda: nn.Linear(6, 2)))
    edited = inserted(model, "0", "1", to="silu").subject.model
    torch.testing.assert_close(edited(X), model[2](F.silu(layer(F.silu(layer(X))))))


def test_a_layer_that_is_read_but_not_called_is_refused():
    class Reading(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.b(F.linear(x, self.a.weight))

    with pytest.raises(NotApplicable, match="without being called"):
        inserted(drawn(Reading), "a")


def test_unknown_names_are_refused():
    with pytest.raises(NotApplicable, match="no module"):
        inserted(drawn(linear), "nowhere")
    with pytest.raises(NotApplicable, match="no activation"):
        inserted(drawn(linear), "0", to="bogus")
    with pytest.raises(NotApplicable, match="nothing to insert"):
        inserted(drawn(linear))
