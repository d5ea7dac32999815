"""A model that was run inside `untouched` is bit for bit, object for object, what it was."""

from __future__ import annotations

import random
import signal
import threading
import types
from collections import OrderedDict, defaultdict, deque

import numpy
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.probing import vault
from gradcheck_cli.probing.digest import Inventory, differences, digest
from gradcheck_cli.probing.sandbox import untouched

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Model(nn.Module):
    """Three layers around a forward that a test supplies."""

    def __init__(self, forward=None, **attributes):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 2)
        for name, value in attributes.items():
            setattr(self, name, value)
        self.body = forward

    def forward(self, x):
        x = self.first(x)
        return self.second(x if self.body is None else self.body(self, x))


def step(model, x=X):
    model(x).square().mean().backward()


def objects(model):
    """Identities of all modules, parameters and buffers, by name."""
    members = (model.named_modules(), model.named_parameters(), model.named_buffers())
    return [(name, id(value), type(value)) for group in members for name, value in group]


def check_untouched(model, run=step, changes=True):
    """Hold digest and identities after a run inside `untouched` against those before; the run must change something."""
    before, ids, inventory = digest(model), objects(model), Inventory(model)
    with untouched(model):
        run(model)
        if changes:
            assert differences(inventory, Inventory(model))
    assert differences(inventory, Inventory(model)) == []
    assert digest(model) == before
    assert objects(model) == ids


def increase(model, x):
    model.counter += 1
    model.total += 0.5
    model.history.append(float(x.sum()))
    model.seen["steps"] = model.seen.get("steps", 0) + 1
    model.names.add(len(model.names))
    model.window.append(x.detach())
    model.stats.count += 1
    return x


def rebind_average(model, x):
    model.average = 0.9 * model.average + 0.1 * model.first.weight.detach()
    return x


def edit_bias(model, x):
    with torch.no_grad():
        model.first.bias.add_(1.0)
        model.second.weight.data.mul_(2.0)
    return x


def swap_storage(model, x):
    model.second.weight.data = F.normalize(model.second.weight.data, dim=1)
    return x


def use_generators(model, x):
    noise = torch.randn(1) + torch.randn(1, generator=model.own) + random.random() + numpy.random.rand()
    noise = noise + model.rng.random() + model.dice.random()
    return x + noise.item()


def tensor_in_dict(model, x):
    model.cache["sum"].add_(x.detach().sum())
    model.cache["deep"]["list"][0].mul_(3.0)
    model.cache["new"] = x.detach()
    return x


def flip_flags(model, x):
    model.second.bias.requires_grad_(False)
    model.eval()
    model.first.weight.note = "seen"
    model.extra = nn.Linear(2, 2)
    del model.second._buffers
    model.second.__dict__["_buffers"] = {}
    return x


def add_hooks(model, x):
    model.first.register_forward_hook(lambda *a: None)
    model.first.weight.register_hook(lambda g: g * 2)
    model.second.weight.register_post_accumulate_grad_hook(lambda p: None)
    nn.modules.module.register_module_forward_hook(lambda *a: None)
    return x


def change_modes(model, x):
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.autograd.set_detect_anomaly(True)
    random.shuffle(model.order)
    return x


def change_class(model, x):
    model.second.__class__ = type("Special", (nn.Linear,), {})
    model.listed[0](x)
    return x


def write_arrays(model, x):
    model.array += 1.0
    model.buffer_slice.add_(1.0)
    model.transposed.mul_(2.0)
    model.expanded.data[0].fill_(7.0)
    return x


def _stateful_model(**more):
    return Model(
        increase, counter=0, total=0.0, history=[], seen={}, names={1}, window=deque(maxlen=2),
        stats=types.SimpleNamespace(count=0), **more,
    )  # fmt: skip


CASES = {
    "lazy layers": lambda: nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(2)),
    "BatchNorm": lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2)),
    "spectral norm": lambda: nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)), nn.utils.spectral_norm(nn.Linear(4, 2))
    ),
    "old weight norm": lambda: nn.utils.weight_norm(nn.Linear(4, 2)),
    "counters": _stateful_model,
    "average rebound": lambda: Model(rebind_average, average=torch.zeros(4, 4)),
    "bias edited in place": lambda: Model(edit_bias),
    "storage swapped": lambda: Model(swap_storage),
    "random generators": lambda: Model(
        use_generators, own=torch.Generator().manual_seed(4), rng=numpy.random.default_rng(1), dice=random.Random(2)
    ),
    "tensors in a dict": lambda: Model(
        tensor_in_dict, cache={"sum": torch.zeros(()), "deep": {"list": [torch.ones(3)]}, "ordered": OrderedDict(a=1)}
    ),
    "flags": lambda: Model(flip_flags),
    "hooks": lambda: Model(add_hooks),
    "modes": lambda: Model(change_modes, order=list(range(9))),
    "class": lambda: Model(change_class, listed=[nn.LazyLinear(3)]),
    "arrays and views": lambda: Model(
        write_arrays, array=numpy.zeros(3), buffer_slice=torch.zeros(4, 6)[:, 1:3], transposed=torch.ones(2, 3).t(),
        expanded=torch.zeros(1).expand(1000),
    ),
    "lock": lambda: _stateful_model(lock=threading.Lock(), groups=defaultdict(list)),
    "lambda over self": lambda: _closing_over_itself(),
    "script": lambda: nn.Sequential(
        torch.jit.script(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))), nn.Linear(3, 2)
    ),
}  # fmt: skip


def _closing_over_itself():
    model = _stateful_model()
    model.again = lambda x: model.first(x)
    model.body = lambda m, x: increase(m, m.again(x))
    return model


@pytest.fixture(autouse=True)
def process_as_before():
    torch.manual_seed(0)
    hooks = dict(nn.modules.module._global_forward_hooks)
    yield
    assert torch.get_default_dtype() is torch.float32
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.is_anomaly_enabled()
    assert torch.is_grad_enabled()
    assert nn.modules.module._global_forward_hooks == hooks


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_a_run_leaves_no_trace(name):
    check_untouched(CASES[name]())


def test_the_gradients_of_the_user_are_set_aside_and_come_back_as_the_same_objects():
    model = Model()
    step(model)
    grads = {n: (p.grad, p.grad.clone()) for n, p in model.named_parameters()}

    def run(inside):
        assert all(p.grad is None for p in inside.parameters())
        step(inside, 10 * X)

    check_untouched(model, run)
    for name, parameter in model.named_parameters():
        grad, value = grads[name]
        assert parameter.grad is grad
        assert torch.equal(grad, value)


def test_an_optimizer_in_a_hook_after_accumulation_does_not_step():
    model = Model()
    optimizer = torch.optim.Adam(model.parameters())
    model.second.weight.register_post_accumulate_grad_hook(lambda parameter: optimizer.step())
    check_untouched(model)
    assert not optimizer.state
    step(model)
    assert optimizer.state  # the hook is back


def test_a_parameter_without_gradient_has_none_afterwards():
    model = Model()
    check_untouched(model)
    assert all(p.grad is None for p in model.parameters())


class Stop(torch.autograd.Function):
    """Raises in backward."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        raise RuntimeError("backward stops here")


def raising(error):
    def body(model, x):
        increase(model, edit_bias(model, x))
        raise error

    return body


@pytest.mark.parametrize("error", [ValueError("forward stops here"), KeyboardInterrupt(), SystemExit(3)], ids=type)
def test_an_exception_in_forward_is_passed_on_and_the_model_restored(error):
    model = _stateful_model()
    model.body = raising(error)
    before, ids = digest(model), objects(model)
    with pytest.raises(type(error)), untouched(model):
        step(model)
    assert digest(model) == before
    assert objects(model) == ids


def test_an_exception_in_backward_leaves_no_partial_gradient():
    model = _stateful_model()
    model.body = lambda m, x: Stop.apply(increase(m, x))
    before = digest(model)
    with pytest.raises(RuntimeError, match="backward stops here"), untouched(model):
        step(model)
    assert digest(model) == before
    assert all(p.grad is None for p in model.parameters())


def test_a_real_interrupt_signal_restores_the_model():
    model = _stateful_model()

    def body(inside, x):
        increase(inside, edit_bias(inside, x))
        signal.raise_signal(signal.SIGINT)
        return x

    model.body = body
    before, ids = digest(model), objects(model)
    with pytest.raises(KeyboardInterrupt), untouched(model):
        step(model)
    assert digest(model) == before
    assert objects(model) == ids


def test_an_interrupt_during_the_restoration_comes_after_it(monkeypatch):
    model = Model(edit_bias)
    before = digest(model)
    usual = vault.Vault.write_back

    def interrupted(self, label, tensor):
        signal.raise_signal(signal.SIGINT)
        usual(self, label, tensor)

    monkeypatch.setattr(vault.Vault, "write_back", interrupted)
    with pytest.raises(KeyboardInterrupt), untouched(model):
        step(model)
    assert digest(model) == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_large_tensors_are_restored_from_the_temporary_file(monkeypatch):
    monkeypatch.setattr(vault, "CLONE_LIMIT", 100)
    model = Model(edit_bias, half=torch.arange(5000, dtype=torch.bfloat16), slice=torch.zeros(40, 60)[:, 7:50])
    model.second.weight.data = model.second.weight.data.to(memory_format=torch.contiguous_format).double().float()

    def run(inside):
        step(inside)
        inside.half.add_(3)
        inside.slice.fill_(2)

    check_untouched(model, run)


def test_nan_payload_and_negative_zero_count_as_bits():
    model = Model(weird=torch.tensor([float("nan"), 0.0]))
    before = digest(model)
    assert digest(model) == before  # NaN equals itself
    with torch.no_grad():
        model.weird[1] = -0.0
    assert digest(model) != before
    model.weird[1] = 0.0
    assert digest(model) == before
    check_untouched(model, lambda m: m.weird.neg_())


def test_a_freed_storage_is_allocated_again():
    def run(model):
        model.second.weight.untyped_storage().resize_(0)

    check_untouched(Model(), run)


def test_what_cannot_be_restored_is_named(monkeypatch):
    class FullDisk:
        def seek(self, *where): ...
        def tell(self):
            return 0

        def write(self, data):
            raise OSError(28, "No space left on device")

        def close(self): ...

    monkeypatch.setattr(vault, "CLONE_LIMIT", 0)
    monkeypatch.setattr(vault.tempfile, "TemporaryFile", lambda **options: FullDisk())
    with pytest.raises(GradcheckError) as caught, untouched(model := Model(edit_bias)):
        step(model)
    assert caught.value.id == "E572"
    assert caught.value.why == "changed: `first.bias` value, `second.weight` value"


CHANGES = {
    "`first.weight` value": lambda m: m.first.weight.data.view(torch.int32)[0, 0].bitwise_xor_(1),
    "`first.weight` object, shape or flags": lambda m: m.first.weight.requires_grad_(False),
    "`first.weight.grad` appeared": lambda m: setattr(m.first.weight, "grad", torch.zeros(4, 4)),
    "`second.counter`": lambda m: setattr(m.second, "counter", 2),
    "`second.training`": lambda m: m.second.eval(),
    "`first` class or training mode": lambda m: setattr(m.first, "__class__", type("Other", (nn.Linear,), {})),
    "`first._forward_hooks` contents": lambda m: m.first.register_forward_hook(print),
    "`seen['a']['b']` contents": lambda m: m.seen["a"]["b"].append(1),
    "`_modules` order of entries": lambda m: m._modules.update(first=m._modules.pop("first")),
    "torch random generator": lambda m: torch.rand(1),
    "numpy random generator": lambda m: numpy.random.rand(),
    "random generator": lambda m: random.random(),
}


@pytest.mark.parametrize("words", CHANGES)
def test_the_digest_sees_a_change_and_the_inventory_names_it(words):
    model = Model(seen={"a": {"b": []}})
    model.second.counter = 1
    assert digest(model) == digest(model)
    before, inventory = digest(model), Inventory(model)
    CHANGES[words](model)
    assert digest(model) != before
    assert words in differences(inventory, Inventory(model))


def test_nested_use_restores_to_each_level():
    model = _stateful_model()
    before = digest(model)
    with untouched(model):
        step(model)
        between = digest(model)
        check_untouched(model)
        assert digest(model) == between != before
    assert digest(model) == before
