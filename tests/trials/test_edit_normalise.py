import copy

import pytest
import torch
from torch import nn

from gradcheck_cli.probing.digest import digest
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit
from gradcheck_cli.rules.judge import judge
from gradcheck_cli.trials.base import NotApplicable, apply
from tests.trials.setups import SETTINGS, setup_of, subject_of


def normalised(setup, *layers, norm="batch"):
    return apply(setup, [Edit(kind="normalise", layers=layers, options={"norm": norm})])


def x(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3)) * 2 + 1


def gradients(model, inputs):
    model.zero_grad()
    output = model(inputs)
    output.square().mean().backward()
    return output, [p.grad for p in model.parameters()]


def mlp(depth=4, activation=nn.Tanh):
    torch.manual_seed(0)
    return nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(6, 6), activation())], nn.Linear(6, 2))


def by_hand(model, places, norm):
    """The same layers in a new Sequential, each chosen one in a pair with its norm."""
    return nn.Sequential(
        *[nn.Sequential(layer, norm()) if i in places else layer for i, layer in enumerate(copy.deepcopy(model))]
    )


@pytest.mark.parametrize(
    ("norm", "made"),
    [("batch", lambda: nn.BatchNorm1d(6)), ("layer", lambda: nn.LayerNorm(6)), ("group", lambda: nn.GroupNorm(2, 6))],
)
def test_the_edited_network_computes_what_a_hand_written_one_does(norm, made):
    model, inputs = mlp(), x(5, 6)
    edited = normalised(setup_of(model, inputs), "0", "2", norm=norm).subject.model
    output, grads = gradients(edited, inputs)
    expected, wanted = gradients(by_hand(model, (0, 2), made), inputs)
    torch.testing.assert_close(output, expected)
    for own, other in zip(grads, wanted, strict=True):
        torch.testing.assert_close(own, other)


@pytest.mark.parametrize(
    ("layer", "shape", "norm", "made"),
    [
        (lambda: nn.Conv1d(3, 8, 3), (4, 3, 9), "batch", lambda: nn.BatchNorm1d(8)),
        (lambda: nn.Conv2d(3, 8, 3), (4, 3, 9, 9), "batch", lambda: nn.BatchNorm2d(8)),
        (lambda: nn.ConvTranspose2d(3, 8, 3), (4, 3, 5, 5), "group", lambda: nn.GroupNorm(8, 8)),
        (lambda: nn.Conv3d(3, 8, 3), (2, 3, 5, 5, 5), "layer", lambda: nn.GroupNorm(1, 8)),
    ],
)
def test_convolutions_are_normalised_by_channel(layer, shape, norm, made):
    torch.manual_seed(0)
    model = nn.Sequential(layer(), nn.ReLU())
    edited = normalised(setup_of(model, x(*shape)), "0", norm=norm).subject.model
    torch.testing.assert_close(edited(x(*shape)), torch.relu(made()(model[0](x(*shape)))))


@pytest.mark.parametrize("shape", [(4, 7, 6), (4, 2, 3, 6)])
def test_a_linear_layer_on_positions_is_normalised_as_a_convolution_of_kernel_one(shape):
    model = nn.Sequential(nn.Linear(6, 6))
    edited = normalised(setup_of(model, x(*shape)), "0").subject.model
    plain = model(x(*shape))
    expected = (plain - plain.flatten(0, -2).mean(0)) / (plain.flatten(0, -2).var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(edited(x(*shape)), expected)


def test_the_layer_keeps_its_place_type_and_state_keys():
    model, inputs = mlp(), x(5, 6)
    before = digest(model)
    edited = normalised(setup_of(model, inputs), "0").subject.model
    assert digest(model) == before
    assert type(edited[0]) is nn.Linear
    assert edited[0].in_features == 6
    assert set(model.state_dict()) < set(edited.state_dict())
    torch.testing.assert_close(edited[0].weight, model[0].weight)
    again = copy.deepcopy(edited)
    torch.testing.assert_close(again(inputs), edited(inputs))
    with torch.no_grad():
        again[0].norm.weight.zero_()
    assert edited[0].norm.weight.eq(1).all()  # the copy's hook runs the copy's norm
    assert edited(inputs).std() > 0.01


def test_a_child_of_the_same_name_keeps_it():
    model = nn.Sequential(nn.Linear(4, 4))
    model[0].norm = nn.Identity()
    edited = normalised(setup_of(model, x(5, 4)), "0", norm="layer").subject.model
    assert isinstance(edited[0].norm, nn.Identity)
    assert isinstance(edited[0].norm_2, nn.LayerNorm)


def test_dtype_and_mode_are_the_layers():
    model = nn.Sequential(nn.Linear(4, 4)).double()
    edited = normalised(setup_of(model, x(5, 4).double()), "0").subject.model
    assert edited[0].norm.weight.dtype == torch.float64
    assert edited[0].norm.training


class Unbatched(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv1d(2, 4, 3), nn.Linear(4, 4)

    def forward(self, inputs):
        return self.fc(self.conv(inputs[0]).mean(1))


@pytest.mark.parametrize(
    ("model", "inputs", "layer", "norm", "reason"),
    [
        (nn.Sequential(nn.Linear(4, 4)), x(1, 4), "0", "batch", "two samples"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU()), x(3, 4), "1", "batch", "no linear"),
        (nn.Sequential(nn.Linear(4, 4)), x(3, 4), "9", "batch", "no module"),
        (nn.Sequential(nn.Linear(4, 4)), x(3, 4), "0", "group", "one value"),
        (Unbatched(), x(2, 2, 6), "conv", "layer", "without a batch"),
        (torch.jit.script(nn.Sequential(nn.Linear(4, 4))), x(3, 4), "0", "layer", "TorchScript"),
    ],
)
def test_what_cannot_be_normalised_says_why(model, inputs, layer, norm, reason):
    with pytest.raises(NotApplicable, match=reason):
        normalised(setup_of(model, inputs), layer, norm=norm)


def test_an_unbatched_vector_takes_a_layer_norm():
    model = Unbatched()
    edited = normalised(setup_of(model, x(2, 2, 6)), "fc", norm="layer").subject.model
    torch.testing.assert_close(edited(x(2, 2, 6)), torch.layer_norm(model(x(2, 2, 6)), (4,)))


def test_the_probe_sees_it_as_the_hand_written_network():
    """The same spine, gradients, roles and findings, the norm's name apart."""
    model, inputs = mlp(12, nn.Sigmoid), x(16, 6)
    edited = normalised(setup_of(model, inputs), "0", "2", "4").subject
    hand = subject_of(by_hand(model, (0, 2, 4), lambda: nn.BatchNorm1d(6)), inputs)
    rename = {"0.0": "0", "0.1": "0.norm", "2.0": "2", "2.1": "2.norm", "4.0": "4", "4.1": "4.norm"}
    own, other = (probe(s, s.objectives[0], SETTINGS) for s in (edited, hand))
    points = [(rename.get(p.layer, p.layer), p.kind, p.role, round(p.l2, 12)) for p in other.spines[0].points]
    assert [(p.layer, p.kind, p.role, round(p.l2, 12)) for p in own.spines[0].points] == points
    assert [(s.layer, s.role) for s in own.spines[0].segments].count(("2", "linear")) == 1
    leaves = [x for x in other.layers if x.leaf]
    mine = [x for x in own.layers if x.leaf]
    assert [(x.name, x.role) for x in mine] == [(rename.get(x.name, x.name), x.role) for x in leaves]
    for a, b in zip(mine, leaves, strict=True):
        assert a.gradient.l2 == pytest.approx(b.gradient.l2, rel=1e-5)
        assert a.output.l2 == pytest.approx(b.output.l2, rel=1e-5)
    assert [(p.role, p.fan_in) for p in own.parameters] == [(p.role, p.fan_in) for p in other.parameters]
    findings = [[(f.code, f.severity, rename.get(f.layer, f.layer)) for f in judge((p,), SETTINGS)] for p in (own, other)]
    assert findings[0] == findings[1]
    assert any(code == "GC101" for code, *_ in findings[0])


class Conv1D(nn.Module):
    """Stores its weight [in, out], as the layer of this name in transformers does."""

    def __init__(self, nx, nf):
        super().__init__()
        self.nf, self.weight = nf, nn.Parameter(torch.randn(nx, nf))

    def forward(self, inputs):
        return inputs @ self.weight


def test_a_layer_known_by_name_stays_a_linear_leaf():
    model, inputs = nn.Sequential(Conv1D(4, 6), nn.Tanh(), nn.Linear(6, 2)), x(8, 4)
    subject = normalised(setup_of(model, inputs), "0", norm="layer").subject
    layer = probe(subject, subject.objectives[0], SETTINGS).layer("0")
    assert (layer.role, layer.leaf) == ("linear", True)
    torch.testing.assert_close(subject.model[0](inputs), torch.layer_norm(model[0](inputs), (6,)))
