import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn, sigmoid
from torch.utils.checkpoint import checkpoint

from gradcheck_cli.loading.base import Outcome
from gradcheck_cli.probing.digest import digest
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.base import NotApplicable, apply
from tests.trials.prepared import data, drawn, loss_of, setup

X, Y = data(12, 6), data(12, 2, seed=1)
BY_HAND = {
    "relu": torch.relu,
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.1 * x),
    "elu": lambda x: torch.where(x > 0, x, torch.expm1(x)),
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": lambda x: x * torch.sigmoid(x),
    "tanh": torch.tanh,
    "softplus": lambda x: torch.log1p(torch.exp(x)),
    "identity": lambda x: x,
}


class Net(nn.Module):
    """Three layers; what is between them is given as functions."""

    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.c(self.second(self.b(self.first(self.a(x)))))


def switched(model, *layers, to="relu", inputs=X, target=Y):
    return apply(setup(model, (inputs, target)), [Edit(kind="activation", layers=layers, options={"to": to})])


def learns(model, made):
    """Loss and gradients of an edited setup are those of a model written by hand, and so are those of its deep copy."""
    batch = made.subject.batches[0]
    loss = F.mse_loss(model(*batch.args), batch.target)
    loss.backward()
    wanted = [p.grad for p in model.parameters()]
    for edited in (made.subject.model, copy.deepcopy(made.subject.model)):
        edited.zero_grad()
        own = made.objective.compute(edited, batch).loss
        own.backward()
        torch.testing.assert_close(own, loss)
        for p, gradient in zip(edited.parameters(), wanted, strict=True):
            torch.testing.assert_close(p.grad, gradient)
    return True


SIGMOIDS = [torch.sigmoid, sigmoid, torch.Tensor.sigmoid, F.sigmoid, torch.special.expit]
IN_PLACE = [torch.relu_, torch.Tensor.relu_, F.relu_, lambda x: F.relu(x, inplace=True), lambda x: x.clamp_(min=0)]


@pytest.mark.parametrize("spelling", SIGMOIDS)
def test_every_spelling_of_a_call_is_switched(spelling):
    made = switched(drawn(lambda: Net(spelling, torch.tanh)), "/sigmoid")
    assert learns(drawn(lambda: Net(torch.relu, torch.tanh)), made)


@pytest.mark.parametrize("to", BY_HAND)
@pytest.mark.parametrize("spelling", [torch.sigmoid, nn.Sigmoid()])
def test_each_activation_is_what_its_formula_says(spelling, to):
    name = "first" if isinstance(spelling, nn.Module) else "/sigmoid"
    made = switched(drawn(lambda: Net(copy.deepcopy(spelling), torch.tanh)), name, to=to)
    assert learns(drawn(lambda: Net(BY_HAND[to], torch.tanh)), made)


@pytest.mark.parametrize("to", BY_HAND)
@pytest.mark.parametrize("spelling", [*IN_PLACE, nn.ReLU(inplace=True)])
def test_a_call_in_place_still_writes_in_place(spelling, to):
    def ignoring(function):
        def first(x):
            function(x)
            return x

        return first

    class Ignoring(Net):
        def forward(self, x):
            h = self.a(x)
            self.first(h)
            return self.c(self.second(self.b(h)))

    name = "first" if isinstance(spelling, nn.Module) else "/relu"
    made = switched(drawn(lambda: Ignoring(copy.deepcopy(spelling), torch.tanh)), name, to=to)
    assert learns(drawn(lambda: Net(BY_HAND[to], torch.tanh)), made)


def test_children_keep_their_own_calls():
    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 8)

        def forward(self, x):
            return torch.sigmoid(self.fc(torch.sigmoid(x)))

    made = switched(drawn(lambda: Net(torch.sigmoid, Inner())), "/sigmoid")
    assert learns(drawn(lambda: Net(torch.relu, Inner())), made)
    inner = switched(drawn(lambda: Net(torch.sigmoid, Inner())), "second/sigmoid#2")

    class Other(Inner):
        def forward(self, x):
            return torch.relu(self.fc(torch.sigmoid(x)))

    assert learns(drawn(lambda: Net(torch.sigmoid, Other())), inner)


def test_only_the_numbered_calls_are_switched_and_those_outside_the_graph_do_not_count():
    def looking(function):
        def first(x):
            with torch.no_grad():
                torch.sigmoid(x)
            torch.sigmoid(x)  # the loss does not depend on it
            return function(x)

        return first

    for numbers, functions in ((("/sigmoid#2",), (torch.sigmoid, F.gelu)), (("/sigmoid",), (F.gelu, torch.sigmoid))):
        made = switched(drawn(lambda: Net(looking(torch.sigmoid), torch.sigmoid)), *numbers, to="gelu")
        assert learns(drawn(lambda f=functions: Net(*f)), made)


def test_two_edits_of_one_owner_do_not_meet():
    made = setup(drawn(lambda: Net(torch.sigmoid, torch.relu)), (X, Y))
    edits = [Edit(kind="activation", layers=(f"/{a}",), options={"to": b}) for a, b in (("sigmoid", "relu"), ("relu", "gelu"))]
    assert learns(drawn(lambda: Net(torch.relu, F.gelu)), apply(made, edits))
    made = setup(drawn(lambda: Net(torch.sigmoid, torch.relu)), (X, Y))
    assert learns(drawn(lambda: Net(torch.relu, F.gelu)), apply(made, edits[::-1]))


def test_a_shared_module_stays_shared_and_is_found_by_any_name():
    shared = nn.Sigmoid()
    for name in ("first", "second"):
        made = switched(drawn(lambda: Net(shared, shared)), name)
        assert made.subject.model.first is made.subject.model.second
        assert type(made.subject.model.first) is nn.ReLU
        assert learns(drawn(lambda: Net(torch.relu, torch.relu)), made)


def test_an_activation_in_a_list_or_a_dict_is_switched_where_it_is():
    class Holding(Net):
        def __init__(self, one, other):
            super().__init__(None, None)
            self.acts, self.by_name = [one], {"last": other}

        def forward(self, x):
            return self.c(self.by_name["last"](self.b(self.acts[0](self.a(x)))))

    made = switched(drawn(lambda: Holding(nn.Sigmoid(), nn.Tanh())), "acts[0]", "by_name[last]", to="elu")
    assert learns(drawn(lambda: Net(F.elu, F.elu)), made)


def test_a_root_that_is_an_activation_is_switched():
    made = switched(nn.Sigmoid(), "", inputs=X.clone().requires_grad_(), target=data(12, 6))
    torch.testing.assert_close(made.subject.model(X), torch.relu(X))


def test_hooks_and_mode_stay():
    model = drawn(lambda: nn.Sequential(nn.Linear(6, 2), nn.Sigmoid()))
    model[1].register_forward_hook(_double)
    made = switched(model, "1")
    made.subject.model.eval()
    torch.testing.assert_close(made.subject.model(X), 2 * torch.relu(model[0](X)))


def _double(_module, _args, output):
    return 2 * output


@pytest.mark.parametrize("as_module", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_a_transformer_layer_uses_the_new_activation_in_its_fast_path_too(training, as_module):
    def layer(function):
        return nn.TransformerEncoderLayer(6, 2, 16, dropout=0.0, activation=function, batch_first=True)

    x = data(4, 5, 6)
    name = "activation" if as_module else "/relu"
    made = switched(drawn(lambda: layer(nn.ReLU() if as_module else F.relu)), name, to="tanh", inputs=x, target=data(4, 5, 6))
    other = drawn(lambda: layer(torch.tanh))
    with torch.no_grad():
        torch.testing.assert_close(made.subject.model.train(training)(x), other.train(training)(x))


def test_a_training_step_that_calls_the_layers_itself_is_reached():
    model = drawn(lambda: Net(torch.sigmoid, torch.tanh))
    made = setup(model, (X, Y))

    def step(net, batch):
        output = net.c(torch.sigmoid(net.b(torch.sigmoid(net.a(batch.args[0])))))
        return Outcome(loss=F.mse_loss(output, batch.target), output=output, target=batch.target)

    stepping = dataclasses.replace(made.objective, compute=step)
    profile = probe(made.subject, stepping, Settings(target="t"))
    made = dataclasses.replace(made, objective=stepping, profile=profile)
    edited = apply(made, [Edit(kind="activation", layers=("/sigmoid", "/sigmoid#2"), options={"to": "relu"})])
    assert learns(drawn(lambda: Net(torch.relu, torch.relu)), edited)


def test_the_copy_of_an_edited_model_is_its_own():
    made = switched(drawn(lambda: Net(torch.sigmoid, nn.Tanh())), "/sigmoid", "second", to="gelu")
    model = made.subject.model
    before = digest(model)
    twin = copy.deepcopy(model)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    F.mse_loss(twin(X), Y).backward()
    optimizer.step()
    assert digest(model) == before
    assert not torch.equal(twin(X), model(X))
    assert twin.forward.module is twin


def test_the_scan_sees_the_new_activation():
    made = switched(drawn(lambda: Net(torch.sigmoid, nn.Tanh())), "/sigmoid", "second", to="silu")
    profile = probe(made.subject, made.objective, Settings(target="t"))
    assert [x.kind for x in profile.layers if x.role == "activation"] == ["silu", "SiLU"]


def test_the_process_keeps_its_random_state():
    model = drawn(lambda: Net(torch.sigmoid, nn.Dropout()))
    made = setup(model, (X, Y))
    before = torch.get_rng_state()
    apply(made, [Edit(kind="activation", layers=("/sigmoid",), options={"to": "relu"})])
    assert torch.equal(torch.get_rng_state(), before)


class Block(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function, self.fc = function, nn.Linear(8, 8)

    def forward(self, x):
        return self.function(self.fc(self.function(x)))


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_around_the_owner_recomputes_with_the_new_activation(reentrant):
    class Around(Net):
        def forward(self, x):
            return self.c(checkpoint(self.second, self.a(x), use_reentrant=reentrant))

    class Plain(Net):
        def forward(self, x):
            return self.c(self.second(self.a(x)))

    made = setup(drawn(lambda: Plain(None, Block(torch.sigmoid))), (X, Y))
    made.subject.model.__class__ = Around  # the profile is that of the plain one: a reentrant checkpoint hides its operations
    edited = apply(made, [Edit(kind="activation", layers=("second/sigmoid", "second/sigmoid#2"), options={"to": "relu"})])
    other = drawn(lambda: Plain(None, Block(torch.relu)))
    loss_of(edited).backward()
    F.mse_loss(other(X), Y).backward()
    for p, q in zip(edited.subject.model.parameters(), other.parameters(), strict=True):
        assert (p.grad is None) is (q.grad is None)
        if p.grad is not None:  # `b` is not used
            torch.testing.assert_close(p.grad, q.grad)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_inside_the_owner_is_refused(reentrant):
    class Inside(Net):
        def forward(self, x):
            return self.c(checkpoint(lambda h: torch.sigmoid(self.b(torch.sigmoid(h))), self.a(x), use_reentrant=reentrant))

    with pytest.raises(NotApplicable, match="checkpoint"):
        switched(drawn(lambda: Inside(None, None)), "/sigmoid", "/sigmoid#2")


def test_what_cannot_be_switched_is_refused_with_its_reason():
    class Own(nn.Sigmoid):
        def forward(self, x):
            return 2 * super().forward(x)

    plain = drawn(lambda: Net(torch.sigmoid, Own()))
    for layer, why in (
        ("second", "no plain activation"),
        ("/tanh", "no call of tanh|was not found"),
        ("/sigmoid#2", "was not found"),
        ("nowhere", "no layer"),
        ("b/tanh", "can be replaced|not found"),
        ("/softmax", "not elementwise"),
    ):
        with pytest.raises(NotApplicable, match=why):
            switched(plain, layer)
    with pytest.raises(NotApplicable, match="no activation to switch to"):
        switched(plain, "/sigmoid", to="bogus")
    with pytest.raises(NotApplicable, match="compiled"):
        switched(torch.compile(plain), "/sigmoid")
    with pytest.raises(NotApplicable, match="TorchScript"):
        switched(torch.jit.script(drawn(lambda: nn.Sequential(nn.Linear(6, 2), nn.Sigmoid()))), "/sigmoid")


def test_an_edit_that_a_copy_would_lose_is_refused():
    traced = torch.fx.symbolic_trace(drawn(lambda: Net(torch.sigmoid, torch.tanh)))
    with pytest.raises(NotApplicable, match="copies would lose the edit"):
        switched(traced, "/sigmoid")


def test_calls_inside_fused_kernels_are_refused():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.RNN(6, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x):
            return self.out(self.rnn(x)[0][:, -1])

    with pytest.raises(NotApplicable, match=r"can be replaced|not found"):
        switched(drawn(Recurrent), "rnn/tanh", inputs=data(12, 4, 6))
