"""Vanilla recurrent layers exchanged for GRU and LSTM."""

from __future__ import annotations

import copy

import pytest
import torch
from prepared import data, drawn, fingerprint, loss_of, setup
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gradcheck_cli.loading.base import Batch
from gradcheck_cli.probing.copying import copy_model
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.base import NotApplicable, Setup, apply

FORMS = {
    "plain": {},
    "batch first, stacked": {"num_layers": 3, "batch_first": True},
    "bidirectional, stacked": {"num_layers": 2, "bidirectional": True},
    "without bias": {"bias": False, "nonlinearity": "relu"},
}


class Reader(nn.Module):
    """Unpacks the layer's output as everybody does; `how` says what it is given."""

    def __init__(self, how="", **options) -> None:
        super().__init__()
        self.rnn, self.how = nn.RNN(4, 5, **options), how

    def forward(self, x):
        if self.how == "unbatched":
            x = x[0] if self.rnn.batch_first else x[:, 0]
        if self.how == "packed":
            x = pack_padded_sequence(x, [6, 4, 3], batch_first=self.rnn.batch_first)
        start = torch.zeros(self.rnn.num_layers * (1 + self.rnn.bidirectional), 3, 5)
        y, h = self.rnn(x, start) if self.how == "explicit h0" else self.rnn(x)
        if self.how == "packed":
            y, _ = pad_packed_sequence(y, batch_first=self.rnn.batch_first)
        return torch.cat([y.flatten(), h.flatten()])


def _made(model, x=None, **options) -> Setup:
    x = data(3, 6, 4) if x is None and getattr(model.rnn, "batch_first", False) else data(6, 3, 4) if x is None else x
    return setup(model, Batch(args=(x,)), loss=lambda output, _: output.square().mean(), **options)


def _edited(made: Setup, to: str, *layers: str) -> Setup:
    return apply(made, (Edit(kind="recurrent", layers=layers or ("rnn",), options={"to": to}),))


def _outputs(made: Setup, batch=0):
    return made.objective.compute(made.subject.model, made.subject.batches[batch]).output


def _by_hand(layer, kind, x, how):
    """The outputs of torch's own layer with the same weights, called and unpacked as that layer asks."""
    own = kind(layer.input_size, layer.hidden_size, layer.num_layers, layer.bias, layer.batch_first, 0.0, layer.bidirectional)
    own.load_state_dict(layer.state_dict())
    if how == "unbatched":
        x = x[0] if layer.batch_first else x[:, 0]
    if how == "packed":
        x = pack_padded_sequence(x, [6, 4, 3], batch_first=layer.batch_first)
    y, state = own(x)
    if how == "packed":
        y, _ = pad_packed_sequence(y, batch_first=layer.batch_first)
    return torch.cat([y.flatten(), (state[0] if kind is nn.LSTM else state).flatten()])


@pytest.mark.parametrize("how", ["", "unbatched", "packed", "explicit h0"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("to", "kind"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_outputs_are_those_of_torchs_layer(to: str, kind, form: str, how: str) -> None:
    made = _made(drawn(lambda: Reader(how, **FORMS[form])))
    edited = _edited(made, to)
    layer, old = edited.subject.model.rnn, nn.RNN(4, 5, **FORMS[form])
    names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
    assert [getattr(layer, n) for n in names] == [getattr(old, n) for n in names]
    assert isinstance(layer, kind)
    torch.testing.assert_close(_outputs(edited), _by_hand(layer, kind, edited.subject.batches[0].args[0], how))


def test_forget_gates_of_the_lstm_start_open() -> None:
    layer = _edited(_made(drawn(lambda: Reader(num_layers=2, bidirectional=True))), "lstm").subject.model.rnn
    for suffix in ("l0", "l1", "l0_reverse", "l1_reverse"):
        both = getattr(layer, f"bias_ih_{suffix}") + getattr(layer, f"bias_hh_{suffix}")
        assert torch.equal(both[5:10], torch.ones(5))
        assert both[:5].abs().max() < 1


@pytest.mark.parametrize("to", ["gru", "lstm"])
def test_weights_come_from_the_seed_alone(to: str) -> None:
    model = drawn(Reader)
    state = torch.get_rng_state()
    drawn_weights = []
    for seed, noise in ((1, 5), (1, 6), (2, 6)):
        made = _made(model, seed=seed)
        torch.manual_seed(noise)
        drawn_weights.append(fingerprint(_edited(made, to).subject.model))
    assert drawn_weights[0] == drawn_weights[1] != drawn_weights[2]
    torch.set_rng_state(state)
    made = _made(model)
    before = torch.get_rng_state()
    _edited(made, to)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("to", ["gru", "lstm"])
def test_dtype_mode_training_and_copying(to: str) -> None:
    model = drawn(Reader).double()
    model.rnn.eval()
    edited = _edited(_made(model, data(6, 3, 4).double()), to)
    layer = edited.subject.model.rnn
    assert {p.dtype for p in layer.parameters()} == {torch.float64}
    assert not layer.training
    assert edited.subject.model.training
    assert all(p.requires_grad for p in layer.parameters())
    twin = copy_model(edited.subject.model).model
    x = edited.subject.batches[0].args[0]
    torch.testing.assert_close(twin(x), edited.subject.model(x))
    twin(x).sum().backward()
    assert all(p.grad is None for p in layer.parameters())


class Shared(nn.Module):
    """One layer under three names, one of them in a plain list and one in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(4, 4)
        self.again = self.rnn
        self.steps = [self.rnn]
        self.pair = (self.rnn, "name")

    def forward(self, x):
        y, _ = self.rnn(x)
        y, _ = self.again(y)
        y, _ = self.steps[0](y)
        return self.pair[0](y)[0]


def test_a_shared_layer_stays_shared() -> None:
    model = _edited(_made(drawn(Shared)), "gru", "rnn", "again").subject.model
    assert type(model.rnn) is nn.GRU
    assert model.rnn is model.again is model.steps[0] is model.pair[0]
    assert len(list(model.parameters())) == 4


def test_the_root_itself_and_its_hooks() -> None:
    seen = []
    root = drawn(lambda: nn.RNN(4, 5))
    root.register_forward_hook(lambda module, args, output: seen.append(type(module)))
    made = setup(root, Batch(args=(data(6, 3, 4),)), loss=lambda output, _: output[0].square().mean())
    edited = _edited(made, "gru", "")
    seen.clear()
    loss_of(edited)
    assert type(edited.subject.model) is nn.GRU
    assert seen == [nn.GRU]


@pytest.mark.parametrize("to", ["gru", "lstm"])
def test_the_gradient_through_time_lasts_longer(to: str) -> None:
    class LastStep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.RNN(4, 16, batch_first=True), nn.Linear(16, 2)

        def forward(self, x):
            y, _ = self.rnn(x)
            return self.head(y[:, -1])

    edited = _edited(_made(drawn(LastStep), data(4, 80, 4)), to)
    before, after = edited.profile.times[0], probe(edited.subject, edited.objective, Settings(target="test")).times[0]
    assert not before.gated
    assert after.gated
    assert after.decay > before.decay


class Carried(nn.Module):
    """Keeps the state from one batch to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.state = nn.RNN(4, 5), None

    def forward(self, x):
        y, h = self.rnn(x, self.state)
        self.state = h.detach()
        return y


def test_an_lstm_is_refused_where_the_state_is_carried_and_the_model_stays() -> None:
    made = _made(drawn(Carried))
    before = fingerprint(made.subject.model)
    with pytest.raises(NotApplicable, match="`rnn` is given a hidden state that is not zero"):
        _edited(made, "lstm")
    assert type(made.subject.model.rnn) is nn.RNN
    assert made.subject.model.state is None
    assert fingerprint(made.subject.model) == before
    assert type(_edited(made, "gru").subject.model.rnn) is nn.GRU


class Loop(nn.Module):
    """A loop of the user's own around any cell."""

    def __init__(self, cell, turned=False) -> None:
        super().__init__()
        self.rnn, self.turned = cell, turned

    def forward(self, x):
        h = x.new_zeros(x.shape[0], 5)
        for t in range(x.shape[1]):
            h = self.rnn(h, x[:, t]) if self.turned else self.rnn(x[:, t], h)
        return h


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.i2h, self.h2h = nn.Linear(4, 5), nn.Linear(5, 5, bias=False)

    def forward(self, x, h):
        return torch.tanh(self.i2h(x) + self.h2h(h))


class JoinedCell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.both, self.act = nn.Linear(9, 5), nn.ReLU()

    def forward(self, h, x):
        return self.act(self.both(torch.cat([h, x], 1)))


class BareCell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.u = nn.Parameter(0.5 * torch.randn(4, 5)), nn.Parameter(0.5 * torch.randn(5, 5))

    def forward(self, x, h):
        return torch.sigmoid(x @ self.w + h @ self.u)


@pytest.mark.parametrize(
    ("cell", "turned"),
    [(lambda: nn.RNNCell(4, 5), False), (Cell, False), (JoinedCell, True), (BareCell, False)],
    ids=["RNNCell", "two linear", "one linear, state first", "parameters"],
)
def test_a_cell_becomes_a_gru_cell(cell, turned: bool) -> None:
    made = _made(drawn(lambda: Loop(cell(), turned)), data(3, 12, 4))
    edited = _edited(made, "gru")
    own = nn.GRUCell(4, 5, bias=edited.subject.model.rnn.bias)
    own.load_state_dict(edited.subject.model.rnn.state_dict())
    torch.testing.assert_close(_outputs(edited), Loop(own)(data(3, 12, 4)))
    assert edited.subject.model.rnn.bias == any(p.ndim == 1 for p in cell().parameters())
    with pytest.raises(NotApplicable, match="an LSTM cell has two"):
        _edited(_made(drawn(lambda: Loop(cell(), turned)), data(3, 12, 4)), "lstm")


class ScaledCell(Cell):
    def forward(self, x, h):
        return h + 0.1 * super().forward(x, h)


class Inline(nn.Module):
    """The whole recurrence stands in the model's own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.i2h, self.rnn = nn.Linear(4, 5), nn.Linear(5, 5)

    def forward(self, x):
        h = x.new_zeros(x.shape[0], 5)
        for t in range(x.shape[1]):
            h = torch.tanh(self.i2h(x[:, t]) + self.rnn(h))
        return h


class OwnRNN(nn.RNN):
    pass


def _normed():
    model = Reader()
    nn.utils.parametrizations.weight_norm(model.rnn, "weight_hh_l0")
    return model


def _old_normed():
    model = Reader()
    nn.utils.weight_norm(model.rnn, "weight_hh_l0")
    return model


@pytest.mark.parametrize(
    ("make", "layer", "reason"),
    [
        (lambda: Loop(ScaledCell()), "rnn", r"something else than act\(W x \+ U h \+ b\).*rewrite the loop"),
        (Inline, "rnn", "computed in the code around `rnn`.*rewrite the loop around `rnn` with nn.GRUCell"),
        (Reader, "missing", "`missing`"),
        (_normed, "rnn", "a class of its own"),
        (_old_normed, "rnn", "computed from others"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_what_cannot_be_exchanged_says_why(make, layer: str, reason: str) -> None:
    model = drawn(make)
    made = _made(model, data(3, 12, 4) if not hasattr(model, "how") else None)
    before = fingerprint(copy.deepcopy(made.subject.model)) if make is not _old_normed else None
    with pytest.raises(NotApplicable, match=reason):
        _edited(made, "gru", layer)
    if before is not None:
        assert fingerprint(made.subject.model) == before


def test_gated_and_derived_layers_are_left() -> None:
    model = drawn(Reader)
    model.rnn = OwnRNN(4, 5)
    with pytest.raises(NotApplicable, match="OwnRNN, a class of its own on top of RNN"):
        _edited(_made(model), "gru")
    model.rnn = nn.GRU(4, 5)
    with pytest.raises(NotApplicable, match="`rnn` is gated already"):
        _edited(_made(model), "lstm")
    with pytest.raises(NotApplicable, match="no recurrent layer is named"):
        apply(_made(model), (Edit(kind="recurrent", layers=(), options={"to": "gru"}),))
