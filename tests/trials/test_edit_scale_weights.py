import copy

import pytest
import torch
from torch import nn

from gradcheck_cli.probing.digest import digest
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, apply
from tests.trials.setups import setup_of


def scaled(setup, *layers, factor=0.1):
    return apply(setup, [Edit(kind="scale_weights", layers=layers, options={"factor": factor})]).subject.model


def x(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def net(wrap=lambda layer: layer):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), wrap(nn.Linear(5, 3)))


@pytest.mark.parametrize("wrap", [lambda layer: layer, nn.utils.parametrizations.weight_norm, nn.utils.weight_norm])
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`")
def test_the_output_of_a_layer_shrinks_by_the_factor(wrap):
    model, inputs = net(wrap), x(4, 6)
    with torch.no_grad():
        expected = model(inputs) * 0.1
    before = digest(model)
    edited = scaled(setup_of(model, inputs), "2")
    assert digest(model) == before
    with torch.no_grad():
        torch.testing.assert_close(edited(inputs), expected)
        torch.testing.assert_close(copy.deepcopy(edited)(inputs), expected)
        torch.testing.assert_close(edited[0](inputs), model[0](inputs))


def test_single_parameters_and_shared_layers_are_scaled_once():
    layer = nn.Linear(6, 6)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    edited = scaled(setup_of(model, x(4, 6)), "0", "2", "2.weight", factor=3)
    torch.testing.assert_close(edited[0].weight, 3 * layer.weight)
    only = scaled(setup_of(model, x(4, 6)), "0.weight", factor=3)
    torch.testing.assert_close(only[0].weight, 3 * layer.weight)
    torch.testing.assert_close(only[0].bias, layer.bias)


def test_what_cannot_be_scaled_says_why():
    model = net(nn.utils.parametrizations.spectral_norm)
    with pytest.raises(NotApplicable, match="undoes"):
        scaled(setup_of(model, x(4, 6)), "2")
    with pytest.raises(NotApplicable, match="none of"):
        scaled(setup_of(net(), x(4, 6)), "1")
    frozen = net().requires_grad_(False)
    frozen[0].requires_grad_(True)
    with pytest.raises(NotApplicable, match="trainable"):
        scaled(setup_of(frozen, x(4, 6)), "2")
