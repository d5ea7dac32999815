import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradcheck_cli.loading.base import Outcome
from gradcheck_cli.probing.digest import digest
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit
from gradcheck_cli.rules.judge import judge
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.base import NotApplicable, apply
from tests.trials.prepared import data, drawn, setup

X, Y = data(12, 6), data(12, 2, seed=1)


class Towers(nn.Module):
    """Two encoders and a head; `cut` runs the second one."""

    def __init__(self, cut):
        super().__init__()
        self.cut = cut
        self.audio, self.text, self.head = nn.Linear(6, 8), nn.Sequential(nn.Linear(6, 8), nn.Tanh()), nn.Linear(16, 2)

    def forward(self, x):
        return self.head(torch.cat([self.audio(x), self.cut(self.text, x)], dim=-1))


def detached(layer, x):
    return layer(x).detach()


def by_data(layer, x):
    return layer(x).data


def in_place(layer, x):
    return layer(x).detach_()


def without_grad(layer, x):
    with torch.no_grad():
        return layer(x)


@torch.no_grad()
def decorated(layer, x):
    return layer(x)


def grad_off(layer, x):
    torch.set_grad_enabled(False)
    y = layer(x)
    torch.set_grad_enabled(True)
    return y


def inference(layer, x):
    with torch.inference_mode():
        y = layer(x)
    return y.clone()


def through_numpy(layer, x):
    return torch.from_numpy(layer(x).detach().numpy().copy())


def whole(layer, x):
    return layer(x)


def reconnected(model, *layers):
    return apply(setup(model, (X, Y)), [Edit(kind="reconnect", layers=layers)])


def same_gradients(made, by_hand):
    F.mse_loss(by_hand(X), Y).backward()
    for twin in (made.subject.model, copy.deepcopy(made.subject.model)):
        twin.zero_grad()
        made.objective.compute(twin, made.subject.batches[0]).loss.backward()
        for p, q in zip(twin.parameters(), by_hand.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad)
    return True


@pytest.mark.parametrize("cut", [detached, by_data, in_place, without_grad, decorated, grad_off])
def test_the_gradient_is_that_of_the_model_without_the_cut(cut):
    model = drawn(lambda: Towers(cut))
    before = digest(model)
    made = reconnected(model, "text", "text.0")
    assert same_gradients(made, drawn(lambda: Towers(whole)))
    assert digest(model) == before


def test_the_finding_goes():
    settings = Settings(target="t")
    made = setup(drawn(lambda: Towers(detached)), (X, Y))
    (finding,) = judge((made.profile,), settings)
    assert finding.code == "GC401"
    edited = apply(made, [Edit(kind="reconnect", layers=(finding.layer, *finding.affected))])
    assert judge((probe(edited.subject, edited.objective, settings),), settings) == ()


def test_a_cut_in_the_named_module_leaves_those_around_it_alone():
    class Inner(nn.Module):
        def __init__(self, cut):
            super().__init__()
            self.fc, self.cut = nn.Linear(6, 8), cut

        def forward(self, x):
            return self.cut(self.fc, x)

    def build(inner, outer):
        model = drawn(lambda: Towers(outer))
        model.text = drawn(lambda: Inner(inner), seed=1)
        return model

    made = reconnected(build(detached, whole), "text")
    assert same_gradients(made, build(whole, whole))
    assert "forward" not in vars(made.subject.model)


def test_a_frozen_input_and_a_parameter_written_through_data_stay():
    class Clipped(Towers):
        def forward(self, x):
            self.audio.weight.data.clamp_(-1, 1)
            return super().forward(x.detach())

    made = reconnected(drawn(lambda: Clipped(detached)), "text")
    assert same_gradients(made, drawn(lambda: Clipped(whole)))


def test_a_cut_in_the_loss_is_undone():
    class Two(Towers):
        def forward(self, x):
            return self.audio(x), self.text(x)

    def compute(net, batch):
        a, b = net(*batch.args)
        return Outcome(loss=F.mse_loss(a, b.detach()), output=a, target=batch.target)

    made = setup(drawn(lambda: Two(whole)), (X, Y), loss=lambda out, _: F.mse_loss(*out))
    made = dataclasses.replace(made, objective=dataclasses.replace(made.objective, compute=compute))
    edited = apply(made, [Edit(kind="reconnect", layers=("text",))])
    edited.objective.compute(edited.subject.model, edited.subject.batches[0]).loss.backward()
    other = drawn(lambda: Two(whole))
    F.mse_loss(*other(X)).backward()
    torch.testing.assert_close(edited.subject.model.text[0].weight.grad, other.text[0].weight.grad)


@pytest.mark.parametrize("cut", [inference, through_numpy, whole])
def test_what_cannot_be_undone_is_refused_and_nothing_stays_edited(cut):
    made = setup(drawn(lambda: Towers(cut)), (X, Y))
    before = digest(made.subject.model)
    with pytest.raises(NotApplicable, match=r"could be undone|does not run"):
        apply(made, [Edit(kind="reconnect", layers=("text",))])
    assert digest(made.subject.model) == before
    torch.testing.assert_close(made.subject.model(X), drawn(lambda: Towers(cut))(X))


def test_an_unknown_layer_is_refused():
    with pytest.raises(NotApplicable, match="no module"):
        reconnected(drawn(lambda: Towers(detached)), "nowhere")
