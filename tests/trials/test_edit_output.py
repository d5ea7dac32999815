import copy
import dataclasses
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradcheck_cli.loading import load
from gradcheck_cli.loading.base import OptimizerSpec, Outcome
from gradcheck_cli.loading.objectives import standard
from gradcheck_cli.probing.copying import copy_model
from gradcheck_cli.probing.digest import digest
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit
from gradcheck_cli.rules.judge import judge
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.base import Loop, NotApplicable, Setup, apply
from tests.trials.prepared import data, drawn, setup

SAMPLES = Path(__file__).parents[2] / "sample_models"
SETTINGS = Settings(target="t")
X = data(20, 6)
CLASSES = torch.arange(20) % 3
BITS = (torch.arange(20) % 2).float().unsqueeze(1)
REAL = data(20, 3, seed=1)


class Net(nn.Module):
    """A head of `units`, and what comes behind it."""

    def __init__(self, end, units=3):
        super().__init__()
        self.body, self.head, self.end = nn.Linear(6, 8), nn.Linear(8, units), end

    def forward(self, x):
        return self.end(self.head(torch.relu(self.body(x))))


def nothing(x):
    return x


def ending(end, function, kind, target, units=3, **options):
    made = setup(drawn(lambda: Net(end, units)), (X, target), loss=function, kind=kind)
    objective = standard(kind, function, kind, "test")
    made = dataclasses.replace(made, objective=objective, profile=probe(made.subject, objective, SETTINGS))
    return apply(made, [Edit(kind="output", options=options)])


def same(made, function, target, end=nothing, units=3):
    """Loss and gradients are those of the model and loss written by hand."""
    by_hand = drawn(lambda: Net(end, units))
    loss = function(by_hand(X), target)
    loss.backward()
    for twin in (made.subject.model, copy.deepcopy(made.subject.model)):
        twin.zero_grad()
        own = made.objective.compute(twin, made.subject.batches[0]).loss
        own.backward()
        torch.testing.assert_close(own, loss)
        for p, q in zip(twin.parameters(), by_hand.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad)
    return True


def codes(made):
    return [(f.code, f.facts.get("problem")) for f in judge((probe(made.subject, made.objective, SETTINGS),), SETTINGS)]


ENDS = [
    nn.Softmax(dim=-1),
    nn.Sigmoid(),
    nn.ReLU(),
    nn.Tanh(),
    nn.ReLU(inplace=True),
    lambda x: x.softmax(-1),
    lambda x: torch.softmax(x, dim=-1),
    lambda x: F.softmax(x, dim=-1),
    torch.sigmoid,
    torch.tanh,
    F.relu,
    lambda x: x.clamp(min=0),
    lambda x: torch.sigmoid(x).unsqueeze(1).squeeze(1),
]


@pytest.mark.parametrize("end", ENDS)
def test_the_last_activation_goes(end):
    made = ending(end, F.cross_entropy, "cross_entropy", CLASSES, drop=True)
    assert same(made, F.cross_entropy, CLASSES)
    assert not made.new_loss_scale
    assert codes(made) == []


def test_an_earlier_call_of_the_same_kind_stays():
    class Twice(Net):
        def forward(self, x):
            return torch.relu(super().forward(x)).reshape(-1, 3)

    made = setup(drawn(lambda: Twice(F.relu)), (X, CLASSES), loss=F.cross_entropy, kind="cross_entropy")
    made = apply(made, [Edit(kind="output", options={"drop": True})])
    assert same(made, F.cross_entropy, CLASSES, F.relu)


@pytest.mark.parametrize("end", [nn.Sigmoid(), torch.sigmoid])
def test_a_critic_that_is_called_twice_loses_its_last_activation_in_both_calls(end):
    def game(net, batch):
        real, fake = net(batch.args[0][:10]), net(batch.args[0][10:])
        return Outcome(loss=bce_of_sigmoid(real, 1 + 0 * real) + bce_of_sigmoid(fake, 0 * fake), output=fake)

    made = setup(drawn(lambda: Net(end, 1)), (X, BITS), loss=bce_of_sigmoid, kind="bce_logits")
    made = dataclasses.replace(made, objective=dataclasses.replace(made.objective, compute=game))
    made = apply(made, [Edit(kind="output", options={"drop": True})])
    wanted = game(drawn(lambda: Net(nothing, 1)), made.subject.batches[0]).loss
    torch.testing.assert_close(made.objective.compute(made.subject.model, made.subject.batches[0]).loss, wanted)


def test_a_block_that_ends_in_the_activation_and_is_called_in_between_is_refused():
    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Net(torch.relu, 6)

        def forward(self, x):
            return self.block(self.block(x))

    made = setup(drawn(Unrolled), (X, X))
    with pytest.raises(NotApplicable, match="called before the end too"):
        apply(made, [Edit(kind="output", options={"drop": True})])


def test_targets_that_are_not_bounded_are_reached():
    made = ending(torch.sigmoid, F.mse_loss, "mse", 100 * REAL, drop=True)
    assert same(made, F.mse_loss, 100 * REAL)
    assert ("GC606", None) not in codes(made)


def bce_of_sigmoid(x, y):
    return F.binary_cross_entropy_with_logits(x, y)


@pytest.mark.parametrize("loss", [F.binary_cross_entropy, nn.BCELoss()])
def test_sigmoid_and_bce_become_bce_with_logits(loss):
    made = ending(torch.sigmoid, loss, "bce", BITS, units=1, drop=True, loss="bce_logits")
    assert same(made, bce_of_sigmoid, BITS, units=1)
    assert made.objective.kind == "bce_logits"
    assert codes(made) == []


def test_raw_logits_that_bce_refuses_get_the_loss_for_logits():
    made = setup(drawn(lambda: Net(nothing, 1)), (X, BITS), loss=bce_of_sigmoid, kind="bce_logits")
    refusing = dataclasses.replace(made, objective=standard("bce", nn.BCELoss(), "bce", "test"))
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        refusing.objective.compute(refusing.subject.model, refusing.subject.batches[0])
    made = apply(refusing, [Edit(kind="output", options={"loss": "bce_logits"})])
    assert same(made, bce_of_sigmoid, BITS, units=1)


@pytest.mark.parametrize(("end", "drop"), [(nothing, False), (nothing, True), (nn.Softmax(dim=1), True)])
def test_nll_without_log_becomes_cross_entropy(end, drop):
    made = ending(end, nn.NLLLoss(), "nll", CLASSES, drop=drop, loss="cross_entropy")
    assert same(made, F.cross_entropy, CLASSES)
    assert made.new_loss_scale
    assert codes(made) == []


def test_options_of_the_users_loss_stay():
    weight = torch.tensor([1.0, 2.0, 5.0])
    made = ending(nothing, nn.NLLLoss(weight=weight, ignore_index=1), "nll", CLASSES, loss="cross_entropy")
    assert same(made, nn.CrossEntropyLoss(weight=weight, ignore_index=1), CLASSES)
    made = ending(nothing, nn.MSELoss(reduction="sum"), "mse", REAL, loss="huber")
    assert same(made, nn.HuberLoss(reduction="sum"), REAL)


def test_a_loss_among_others_is_exchanged_where_it_is_called():
    def own(output, target):
        return F.mse_loss(output, target) + 0.1 * output.square().mean()

    made = ending(nothing, own, "mse", REAL, loss="huber")
    assert same(made, lambda o, t: F.huber_loss(o, t) + 0.1 * o.square().mean(), REAL)


def test_a_loss_that_is_a_formula_is_computed_anew():
    made = ending(nothing, lambda o, t: (o - t).pow(2).mean(), "mse", REAL, loss="huber")
    assert same(made, F.huber_loss, REAL)
    assert made.new_loss_scale


@pytest.mark.parametrize(
    ("end", "function", "kind", "target"),
    [
        (torch.sigmoid, F.binary_cross_entropy, "bce", CLASSES.float().unsqueeze(1)),
        (nothing, F.binary_cross_entropy_with_logits, "bce_logits", CLASSES.float().unsqueeze(1)),
        (nn.Softmax(dim=1), F.cross_entropy, "cross_entropy", torch.zeros(20, dtype=torch.long)),
    ],
)
def test_one_unit_for_several_classes_becomes_one_for_each(end, function, kind, target):
    lenient = F.binary_cross_entropy_with_logits if kind == "bce" else function  # BCE itself refuses targets above one
    made = setup(drawn(lambda: Net(end, 1)), (X, target), loss=lenient, kind=kind)
    objective = standard(kind, function, kind, "test")
    made = dataclasses.replace(made, objective=objective)
    before = torch.get_rng_state()
    edited = apply(made, [Edit(kind="output", options={"loss": "cross_entropy"})])
    assert torch.equal(torch.get_rng_state(), before)
    head = edited.subject.model.head
    classes = max(2, int(target.max()) + 1)
    assert (head.out_features, head.weight.shape, head.bias.shape) == (classes, (classes, 8), (classes,))
    assert head.weight.abs().max() <= 1 / math.sqrt(8)
    net = edited.subject.model
    logits = F.linear(torch.relu(net.body(X)), head.weight, head.bias)
    loss = edited.objective.compute(net, edited.subject.batches[0]).loss
    torch.testing.assert_close(loss, F.cross_entropy(logits, target.flatten().long()))
    assert codes(edited) == []


def test_one_unit_that_no_linear_layer_makes_is_refused():
    made = setup(
        drawn(lambda: Net(lambda x: x.sum(1, keepdim=True))),
        (X, CLASSES.float().unsqueeze(1)),
        loss=F.binary_cross_entropy_with_logits,
        kind="bce_logits",
    )
    with pytest.raises(NotApplicable, match="not made by a linear layer"):
        apply(made, [Edit(kind="output", options={"loss": "cross_entropy"})])


def test_what_cannot_be_done_is_refused():
    for options, why in (
        ({"drop": True}, "does not end in an activation"),
        ({"loss": "mse"}, "is mse already"),
        ({"loss": "bogus"}, "no loss to change to"),
        ({}, "names neither"),
    ):
        with pytest.raises(NotApplicable, match=why):
            ending(nothing, F.mse_loss, "mse", REAL, **options)

    class Shared(Net):
        def forward(self, x):
            return self.end(self.head(self.end(self.body(x))))

    made = setup(drawn(lambda: Shared(nn.ReLU())), (X, REAL))
    with pytest.raises(NotApplicable, match="called before the end too"):
        apply(made, [Edit(kind="output", options={"drop": True})])

    def inside(net, batch):
        output = net(*batch.args)
        return Outcome(loss=output.square().mean(), output=output)

    made = setup(drawn(lambda: Net(nothing)), (X, REAL))
    model_loss = dataclasses.replace(made.objective, kind="model", compute=inside)
    with pytest.raises(NotApplicable, match="computes its loss itself"):
        apply(dataclasses.replace(made, objective=model_loss), [Edit(kind="output", options={"loss": "huber"})])


@pytest.mark.parametrize(
    ("sample", "code", "options"),
    [
        ("double_softmax", "GC605", {"drop": True}),
        ("sigmoid_targets_to_100", "GC606", {"drop": True}),
    ],
)
def test_the_sample_models_are_cured(sample, code, options):
    settings = Settings(target=str(SAMPLES / f"{sample}.py"), no_try=True)
    subject = load(settings)
    profile = probe(subject, subject.objectives[0], settings)
    assert code in [f.code for f in judge((profile,), settings)]
    made = Setup(
        subject=dataclasses.replace(subject, model=copy_model(subject.model).model),
        objective=subject.objectives[0],
        profile=profile,
        loop=Loop(optimizer=OptimizerSpec(name="Adam", lr=1e-3)),
        seed=0,
    )
    before = digest(subject.model)
    edited = apply(made, [Edit(kind="output", options=options)])
    after = probe(edited.subject, edited.objective, settings)
    assert code not in [f.code for f in judge((after,), settings)]
    assert digest(subject.model) == before
