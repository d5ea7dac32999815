"""Copies are independent of the original, or say what they share with it."""

from __future__ import annotations

import socket
import threading
import types

import pytest
import torch
from torch import nn

from gradcheck_cli.probing.copying import copy_model
from gradcheck_cli.probing.digest import digest

X = torch.linspace(-1, 1, 12).reshape(3, 4)


def small(**attributes):
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


def train(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(X).square().mean().backward()
    optimizer.step()


class Refusing:
    def __init__(self):
        self.size = [1, 2]

    def __deepcopy__(self, memo):
        raise TypeError("a handle of something outside")


def cached_activation():
    model = small()
    model.cache = {"last": model(X)}
    return model


def generator():
    yield 1


UNCOPYABLE = {
    "lock": (lambda: small(lock=threading.Lock()), {"lock"}),
    "file": (lambda: small(log=open(__file__)), {"log"}),  # noqa: SIM115
    "socket": (lambda: small(sockets=[socket.socket()]), {"sockets[0]"}),
    "generator": (lambda: small(stream=generator()), {"stream"}),
    "module": (lambda: small(backend=torch), {"backend"}),
    "nested": (
        lambda: small(state={"a": [threading.Lock(), 1]}, box=types.SimpleNamespace(m=torch)),
        {"state['a'][0]", "box.m"},
    ),
    "object that refuses": (lambda: small(handle=Refusing()), {"handle"}),
    "in a child": (lambda: nn.Sequential(small(lock=threading.Lock())), {"0.lock"}),
    "cached activation": (cached_activation, set()),
    "old weight norm": (lambda: nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 2))), set()),
    "old spectral norm": (lambda: _run_once(nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 2)))), set()),
}  # fmt: skip


def _run_once(model):
    model(X)
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", UNCOPYABLE)
def test_what_cannot_be_copied_is_shared_and_named(name):
    build, shared = UNCOPYABLE[name]
    torch.manual_seed(0)
    model = build()
    before = digest(model)
    twin = copy_model(model)
    assert set(twin.shared) == shared
    assert digest(model) == before
    expected = _fresh_output(model)
    with twin.watch() as talk:
        assert torch.equal(_fresh_output(twin.model), expected)
        train(twin.model)
    assert not talk
    assert not torch.equal(_fresh_output(twin.model), expected)
    assert {id(p) for p in twin.model.parameters()}.isdisjoint({id(p) for p in model.parameters()})


def _fresh_output(model):
    with torch.no_grad():
        return model.eval()(X)


def test_training_a_copy_leaves_the_original():
    model = small()
    before = digest(model)
    twin = copy_model(model)
    with twin.watch() as talk:
        train(twin.model)
    assert not talk
    assert twin.shared == () == twin.dropped
    assert digest(model) == before


def test_tied_weights_and_shared_modules_stay_tied():
    model = small()
    model.append(model[2])
    model.register_parameter("tied", model[0].weight)
    twin = copy_model(model).model
    assert twin[3] is twin[2]
    assert twin.tied is twin[0].weight is not model[0].weight


@pytest.mark.filterwarnings("ignore")
def test_a_scripted_block_is_copied_with_trainable_leaves():
    model = nn.Sequential(torch.jit.script(small()), nn.Linear(2, 2))
    model[0][0].bias.requires_grad_(False)
    before = digest(model)
    twin = copy_model(model)
    assert all(p.is_leaf for p in twin.model.parameters())
    with twin.watch() as talk:
        train(twin.model)
    assert not talk
    assert [n for n, p in twin.model.named_parameters() if p.grad is None] == ["0.0.bias"]
    assert digest(model) == before


def test_tensor_hooks_and_attributes_of_parameters_are_carried_over():
    model = small()
    model[0].weight.register_hook(lambda grad: grad * 0)
    model[0].weight.no_decay = True
    model[2].weight.register_post_accumulate_grad_hook(lambda parameter: None)
    twin = copy_model(model)
    train(twin.model)
    assert not twin.model[0].weight.grad.any()
    assert twin.model[0].bias.grad.any()
    assert twin.model[0].weight.no_decay is True
    assert twin.dropped == ("2.weight",)


class Owner(nn.Module):
    """Calls a layer through a closure that is given at construction."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.call = self.layer.forward

    def forward(self, x):
        return self.call(x)


def test_a_bound_method_follows_the_copy():
    twin = copy_model(Owner())
    with twin.watch() as talk:
        train(twin.model)
    assert not talk
    assert twin.model.layer.weight.grad is not None


def test_a_lambda_that_leads_back_to_the_original_is_reported():
    model = Owner()
    model.call = lambda x: model.layer(x)
    twin = copy_model(model)
    with twin.watch() as talk:
        train(twin.model)
    assert talk
    assert talk.calls == ["layer"]
    assert talk.parameters == ["layer.weight", "layer.bias"]


def test_a_closure_that_uses_a_weight_of_the_original_without_a_call_is_reported():
    model = Owner()
    model.call = lambda x: torch.nn.functional.linear(x, model.layer.weight)
    model(X).sum().backward()  # an existing gradient would be added to in place
    twin = copy_model(model)
    with twin.watch() as talk:
        twin.model(X).sum().backward()
    assert talk.calls == []
    assert talk.parameters == ["layer.weight"]


def test_the_watch_leaves_no_hook_when_the_copy_raises():
    hooks = dict(nn.modules.module._global_forward_pre_hooks)
    twin = copy_model(small())
    with pytest.raises(RuntimeError, match="shapes"), twin.watch():
        twin.model(torch.ones(3, 5))
    assert nn.modules.module._global_forward_pre_hooks == hooks


def test_a_model_whose_copy_fails_for_no_findable_reason_raises_that_reason():
    class Stubborn(nn.Module):
        def __deepcopy__(self, memo):
            raise TypeError("one of a kind")

    with pytest.raises(TypeError, match="one of a kind"):
        copy_model(Stubborn())
