import copy
import math

import pytest
import torch
from torch import nn

from gradcheck_cli.probing.digest import digest
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, apply, with_subject
from gradcheck_cli.trials.edits.initialise import gain_of
from tests.trials.setups import setup_of


def initialised(setup, *layers, **options):
    return apply(setup, [Edit(kind="initialise", layers=layers, options=options)]).subject.model


def x(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def spread(weight):
    return float(weight.detach().double().square().mean().sqrt())


def wide(*, fan_in=300, fan_out=200):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(fan_in, fan_out), nn.ReLU(), nn.Linear(fan_out, 2))


@pytest.mark.parametrize(
    ("options", "std"),
    [
        ({"scheme": "he"}, math.sqrt(2 / 300)),
        ({"scheme": "he", "gain_of": "leaky_relu"}, math.sqrt(2 / 1.0001 / 300)),
        ({"scheme": "he", "gain_of": "tanh"}, 5 / 3 / math.sqrt(300)),
        ({"scheme": "xavier"}, math.sqrt(2 / 500)),
        ({"scheme": "xavier", "gain_of": "tanh"}, 5 / 3 * math.sqrt(2 / 500)),
        ({"scheme": "lecun"}, 1 / math.sqrt(300)),
        ({"scheme": "default"}, 1 / math.sqrt(3 * 300)),
    ],
)
def test_standard_deviations(options, std):
    model = initialised(setup_of(wide(), x(5, 300)), "0", **options)
    assert spread(model[0].weight) == pytest.approx(std, rel=0.02)
    assert model[0].bias.eq(0).all() == (options["scheme"] != "default")
    torch.testing.assert_close(model[2].weight, wide()[2].weight)  # was not named


def test_gains():
    assert gain_of("gelu") == gain_of("relu") == math.sqrt(2)
    assert gain_of("none") == gain_of("linear") == gain_of("sigmoid") == 1
    with pytest.raises(NotApplicable, match="nonsense"):
        gain_of("nonsense")


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in"),
    [
        (lambda: nn.Conv2d(32, 64, 3), (2, 32, 8, 8), 32 * 9),
        (lambda: nn.Conv2d(32, 64, 3, groups=4), (2, 32, 8, 8), 8 * 9),
        (lambda: nn.ConvTranspose2d(64, 32, 3), (2, 64, 8, 8), 64 * 9),
        (lambda: nn.ConvTranspose2d(64, 32, 4, stride=2, groups=2), (2, 64, 8, 8), 32 * 4),
        (lambda: nn.Bilinear(20, 30, 10), None, 20 * 30),
    ],
)
def test_one_output_sums_over_the_fan_in(layer, shape, fan_in):
    torch.manual_seed(0)
    inputs = x(*shape) if shape else (x(5, 20), x(5, 30))
    setup = setup_of(layer(), *(inputs if isinstance(inputs, tuple) else (inputs,)))
    weight = initialised(setup, "", scheme="lecun").weight
    assert spread(weight) == pytest.approx(1 / math.sqrt(fan_in), rel=0.03)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.Conv2d(64, 64, 3),
        lambda: nn.Conv2d(64, 64, 3, groups=4),
        lambda: nn.ConvTranspose2d(64, 64, 4, stride=2),
        lambda: nn.Linear(64, 64),
    ],
)
@pytest.mark.parametrize("scheme", ["lecun", "orthogonal"])
def test_unit_variance_in_gives_unit_variance_out(layer, scheme):
    module = layer()
    inputs = x(64, 64) if isinstance(module, nn.Linear) else x(8, 64, 16, 16)
    model = initialised(setup_of(module, inputs), "", scheme=scheme)
    output = model(inputs)
    inner = output if output.ndim == 2 else output[..., 4:-4, 4:-4]  # at the rim a transposed convolution sums over less
    assert float(inner.detach().std()) == pytest.approx(1, rel=0.06)


def test_orthogonal_weights_have_orthonormal_rows():
    weight = initialised(setup_of(wide(), x(5, 300)), "0", scheme="orthogonal", gain_of="relu")[0].weight
    torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(200), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
def test_each_gate_of_a_recurrent_layer_is_a_matrix_of_its_own(kind, gates):
    layer = kind(5, 16, num_layers=2, bidirectional=True)
    setup = setup_of(layer, x(3, 2, 5), loss=lambda output, _: output[0].square().mean())
    model = initialised(setup, "", scheme="orthogonal")
    for name, parameter in model.named_parameters():
        if "weight_hh" in name:
            for gate in parameter.chunk(gates):
                torch.testing.assert_close(gate @ gate.T, torch.eye(16), atol=1e-5, rtol=0)
        elif "weight_ih_l0" in name:
            for gate in parameter.chunk(gates):
                torch.testing.assert_close(gate.T @ gate, torch.eye(5), atol=1e-5, rtol=0)
        elif "bias" in name:
            assert parameter.eq(0).all()
    drawn = initialised(setup, "", scheme="xavier").weight_hh_l0
    assert spread(drawn) == pytest.approx(1 / 4, rel=0.15)  # √(2 / (16 + 16)): the gate's fan-out, not all gates'


def test_lsuv_gives_every_layer_unit_variance():
    torch.manual_seed(0)
    model = nn.Sequential(
        *[part for _ in range(8) for part in (nn.Linear(40, 40), nn.Tanh())], nn.BatchNorm1d(40), nn.Linear(40, 3)
    )
    inputs = 5 * x(200, 40)
    setup = setup_of(model, inputs)
    edited = initialised(setup, *(str(i) for i in range(0, 16, 2)), "17", scheme="lsuv")
    assert edited[16].num_batches_tracked == 0
    assert edited[16].running_mean.eq(0).all()
    h = inputs
    for layer in edited:
        h = layer(h)
        if isinstance(layer, nn.Linear):
            assert float(h.detach().std()) == pytest.approx(1, abs=0.03)
    rows = edited[0].weight @ edited[0].weight.T
    torch.testing.assert_close(rows, rows[0, 0] * torch.eye(40), atol=1e-4, rtol=0)


def test_lsuv_runs_models_that_differentiate_in_their_forward():
    class Physics(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 1))

        def forward(self, inputs):
            inputs = inputs.clone().requires_grad_()
            return torch.autograd.grad(self.net(inputs).sum(), inputs, create_graph=True)[0]

    edited = initialised(setup_of(Physics(), x(200, 3)), "net.0", "net.2", scheme="lsuv").net
    for output in (edited[0](x(200, 3)), edited(x(200, 3))):
        assert float(output.detach().std()) == pytest.approx(1, abs=0.03)


PARAMETRISED = {
    "weight_norm": nn.utils.parametrizations.weight_norm,
    "old weight_norm": nn.utils.weight_norm,
}


@pytest.mark.parametrize("wrap", PARAMETRISED.values(), ids=PARAMETRISED.keys())
@pytest.mark.parametrize("scheme", ["he", "default", "lsuv"])
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`")
def test_parametrised_weights_are_set_through_their_inverse(wrap, scheme):
    model = nn.Sequential(wrap(nn.Linear(300, 200)), nn.ReLU(), nn.Linear(200, 2))
    with torch.no_grad():
        for parameter in model[0].parameters():
            parameter.mul_(7)
    inputs = 3 * x(50, 300)
    model(inputs).sum().backward()
    model.zero_grad()
    with torch.no_grad():  # a weight with a graph refuses to be copied
        model(inputs)
    edited = initialised(setup_of(model, inputs), "0", scheme=scheme)
    output = edited[0](inputs)
    if scheme == "lsuv":
        assert float(output.detach().std()) == pytest.approx(1, abs=0.03)
    else:
        std = math.sqrt(2 / 300) if scheme == "he" else 1 / math.sqrt(900)
        assert spread(edited[0].weight) == pytest.approx(std, rel=0.02)
        torch.testing.assert_close(output, torch.nn.functional.linear(inputs, edited[0].weight, edited[0].bias))


def test_a_spectral_norm_keeps_its_word():
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(30, 20)), nn.Tanh(), nn.Linear(20, 2))
    before = model[0].parametrizations.weight.original.clone()
    edited = initialised(setup_of(model, x(5, 30)), "0", scheme="he")
    assert not torch.equal(edited[0].parametrizations.weight.original, before)
    assert spread(edited[0].parametrizations.weight.original) == pytest.approx(math.sqrt(2 / 30), rel=0.1)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.mix, self.head = nn.Embedding(50, 32, padding_idx=0), nn.Linear(32, 32), nn.Linear(32, 50)
        self.head.weight = self.table.weight

    def forward(self, tokens):
        return self.head(torch.tanh(self.mix(self.table(tokens).mean(1))))


def test_a_table_tied_to_the_head_is_left_to_itself():
    tokens = torch.arange(12).reshape(3, 4)
    setup = setup_of(Tied(), tokens)
    before = setup.subject.model.table.weight.detach().clone()
    edited = initialised(setup, "mix", "head", scheme="he")
    assert torch.equal(edited.table.weight, before)
    assert edited.head.weight is edited.table.weight
    assert spread(edited.mix.weight) == pytest.approx(math.sqrt(2 / 32), rel=0.06)
    alone = initialised(setup, "head", scheme="he")
    assert spread(alone.head.weight) == pytest.approx(math.sqrt(2 / 32), rel=0.06)
    assert alone.head.weight is alone.table.weight
    table = initialised(setup, "table", scheme="he").table.weight
    assert spread(table[1:]) == pytest.approx(1, rel=0.06)
    assert table[0].eq(0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.complex64, torch.float64])
@pytest.mark.parametrize("scheme", ["he", "orthogonal"])
def test_other_dtypes(dtype, scheme):
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(64, 64, dtype=dtype))

        def forward(self, inputs):
            return (inputs.to(dtype) @ self.weight.T).abs().float()

    weight = initialised(setup_of(Product(), x(5, 64)), "weight", scheme=scheme).weight
    assert weight.dtype == dtype
    size = float(weight.detach().to(torch.complex128).abs().square().mean().sqrt())
    assert size == pytest.approx(math.sqrt(2 / 64) if scheme == "he" else 1 / 8, rel=0.03)
    if dtype.is_complex:
        parts = torch.view_as_real(weight.detach()).square().mean((0, 1)).sqrt()
        torch.testing.assert_close(parts, torch.full((2,), size / math.sqrt(2)), rtol=0.05, atol=0)


def test_frozen_parameters_stay_as_they_are():
    model = wide()
    model[0].weight.requires_grad_(False)
    for scheme in ("he", "default"):
        edited = initialised(setup_of(model, x(5, 300)), "0", "2", scheme=scheme)
        assert torch.equal(edited[0].weight, model[0].weight)
        assert not edited[0].weight.requires_grad
        assert not torch.equal(edited[2].weight, model[2].weight)


def test_lazy_layers_are_materialised():
    seen = setup_of(nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 2)), x(5, 128))
    setup = with_subject(seen, model=nn.Sequential(nn.LazyLinear(64), nn.ReLU(), nn.LazyLinear(2)))
    assert spread(initialised(setup, "0", scheme="he")[0].weight) == pytest.approx(math.sqrt(2 / 128), rel=0.03)


def test_attention_draws_query_key_and_value_apart():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = nn.MultiheadAttention(32, 4, batch_first=True)

        def forward(self, inputs):
            return self.attend(inputs, inputs, inputs)[0]

    edited = initialised(setup_of(Attention(), x(2, 3, 32)), "attend", scheme="orthogonal").attend
    for part in (*edited.in_proj_weight.chunk(3), edited.out_proj.weight):
        torch.testing.assert_close(part @ part.T, torch.eye(32), atol=1e-5, rtol=0)


def test_the_seed_decides_and_nothing_else_changes():
    model, inputs = wide(), x(5, 300)
    before, state = digest(model), torch.get_rng_state()
    for scheme in ("he", "default", "lsuv"):
        first, second = (initialised(setup_of(model, inputs, seed=4), "0", scheme=scheme)[0].weight for _ in range(2))
        assert torch.equal(first, second)
        assert not torch.equal(first, initialised(setup_of(model, inputs, seed=5), "0", scheme=scheme)[0].weight)
    assert digest(model) == before
    assert torch.equal(torch.get_rng_state(), state)
    edited = initialised(setup_of(model, inputs), "0", scheme="he")
    torch.testing.assert_close(copy.deepcopy(edited)(inputs), edited(inputs))


def test_what_takes_too_long_to_orthogonalise_is_not_tried(monkeypatch):
    setup = setup_of(wide(), x(5, 300))
    monkeypatch.setattr("gradcheck_cli.trials.edits.initialise.MOST_WORK", 300 * 200 * 200 - 1)
    with pytest.raises(NotApplicable, match="too long"):
        initialised(setup, "0", scheme="lsuv")
    assert not torch.equal(initialised(setup, "2", scheme="lsuv")[2].weight, wide()[2].weight)


def test_what_cannot_be_initialised_says_why():
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    with pytest.raises(NotApplicable, match="none of the layers"):
        initialised(setup_of(model, x(5, 4)), "1", scheme="he")
    with pytest.raises(NotApplicable, match="neither"):
        initialised(setup_of(model, x(5, 4)), "1", "nowhere", scheme="he")
    edited = initialised(setup_of(model, x(5, 4)), "0", "1", scheme="he")  # the norm's scale is left alone, the rest is drawn
    assert edited[1].weight.eq(1).all()
    assert not torch.equal(edited[0].weight, model[0].weight)
