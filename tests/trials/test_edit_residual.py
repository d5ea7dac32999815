import copy
import gc
import math
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from gradcheck_cli.probing.copying import copy_model
from gradcheck_cli.probing.digest import digest
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.records import Edit
from gradcheck_cli.rules.judge import judge
from gradcheck_cli.trials.base import NotApplicable, apply
from tests.trials.setups import SETTINGS, setup_of, subject_of


def skipped(setup, *layers):
    return apply(setup, [Edit(kind="residual", layers=layers)]).subject


def x(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def same(model, other, inputs):
    """The same output, gradients of the parameters and of the input."""
    results = []
    for net in (model, other):
        net.zero_grad()
        entry = inputs.clone().requires_grad_()
        output = net(entry)
        output.square().mean().backward()
        results.append((output, entry.grad, [p.grad for p in net.parameters()]))
    (a, ga, pa), (b, gb, pb) = results
    torch.testing.assert_close(a, b)
    torch.testing.assert_close(ga, gb)
    for own, wanted in zip(pa, pb, strict=True):
        torch.testing.assert_close(own, wanted)


class Plain(nn.Module):
    """Functional activation, one layer that changes the width."""

    def __init__(self, depth=5, activation=torch.sigmoid, width=8):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(4, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.last = nn.Linear(width, 3)
        self.activation = activation

    def forward(self, inputs):
        h = self.activation(self.first(inputs))
        for layer in self.hidden:
            h = self.activation(layer(h))
        return self.last(h)


class ByHand(Plain):
    def forward(self, inputs):
        z = self.first(inputs)
        for layer in self.hidden:
            z = z + layer(self.activation(z.clone())) / math.sqrt(len(self.hidden))
        return self.last(self.activation(z))


HIDDEN = tuple(f"hidden.{i}" for i in range(5))


@pytest.mark.parametrize("activation", [torch.sigmoid, torch.tanh, F.gelu, nn.ReLU(inplace=True), F.relu_])
def test_skips_go_from_pre_activation_to_pre_activation(activation):
    setup = setup_of(Plain(activation=activation), x(6, 4))
    same(skipped(setup, *HIDDEN).model, ByHand(activation=copy.deepcopy(activation)), x(6, 4))


def test_the_activation_and_norm_between_two_layers_belong_to_the_branch():
    torch.manual_seed(0)
    parts = [nn.Conv2d(3, 6, 3, padding=1)]
    for _ in range(3):
        parts += [nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Dropout(0.0), nn.Conv2d(6, 6, 3, padding=1)]
    model = nn.Sequential(*parts)

    class Hand(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = copy.deepcopy(model)

        def forward(self, inputs):
            z = self.net[0](inputs)
            for i in (1, 5, 9):
                z = z + self.net[i : i + 4](z.clone()) / math.sqrt(3)
            return z

    inputs = x(4, 3, 6, 6)
    same(skipped(setup_of(model, inputs), "4", "8", "12").model, Hand(), inputs)


@pytest.mark.parametrize("first", ["normalise", "residual"])
def test_a_norm_put_behind_the_layers_is_inside_the_branch(first):
    """In either order: z' = z + norm(layer(f(z)))/√n, He et al.'s identity mapping."""

    class Hand(ByHand):
        def forward(self, inputs):
            z = F.layer_norm(self.first(inputs), (8,))
            for layer in self.hidden:
                z = z + F.layer_norm(layer(self.activation(z)), (8,)) / math.sqrt(5)
            return self.last(self.activation(z))

    edits = [
        Edit(kind="normalise", layers=("first", *HIDDEN), options={"norm": "layer"}),
        Edit(kind="residual", layers=HIDDEN),
    ]
    setup = setup_of(Plain(activation=torch.tanh), x(6, 4))
    edited = apply(setup, edits if first == "normalise" else edits[::-1]).subject.model
    torch.testing.assert_close(edited(x(6, 4)), Hand(activation=torch.tanh)(x(6, 4)))


def test_where_the_shape_changes_between_layers_the_own_input_is_added():
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b = nn.Conv1d(2, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)

        def branch(self, h):
            return self.b(h)

        def forward(self, inputs):
            return self.branch(F.max_pool1d(torch.relu(self.a(inputs)), 2))

    class Hand(Pooled):
        def branch(self, h):
            return h + self.b(h)

    same(skipped(setup_of(Pooled(), x(3, 2, 8)), "b").model, Hand(), x(3, 2, 8))


class Blocks(nn.Module):
    def __init__(self, run=lambda block, h: block(h), inplace=False):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(4, 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.ReLU(inplace), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)) for _ in range(2)
        )
        self.run = run

    def forward(self, inputs):
        h = self.first(inputs)
        for block in self.blocks:
            h = self.run(block, h)
        return h


def test_a_block_whose_first_operation_works_in_place():
    hand = Blocks(lambda block, h: h + block(h.clone()) / math.sqrt(2))
    same(skipped(setup_of(Blocks(inplace=True), x(3, 4)), "blocks.0", "blocks.1").model, hand, x(3, 4))


def reentrant(block, h):
    return checkpoint(block, h, use_reentrant=True)


def non_reentrant(block, h):
    return checkpoint(block, h, use_reentrant=False)


@pytest.mark.parametrize("run", [reentrant, non_reentrant])
@pytest.mark.parametrize("layers", [("blocks.0", "blocks.1"), ("blocks.0.3", "blocks.1.3", "blocks.0.1", "blocks.1.1")])
def test_checkpoints_give_the_same_gradients(run, layers):
    """Also for skips between layers, which then add their own input: what another call kept is gone when a block runs again."""
    whole = setup_of(Blocks(run), x(3, 4))
    edited = skipped(whole, *layers).model
    plain = copy.deepcopy(edited)
    plain.run = lambda block, h: block(h)
    same(edited, plain, x(3, 4))
    assert not torch.allclose(edited(x(3, 4)), whole.objective.compute(Blocks(), whole.subject.batches[0]).output)
    for module in edited.modules():
        for hook in [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]:
            assert not getattr(getattr(hook, "stack", None), "inputs", None)


def test_shared_and_recursive_modules():
    class Twice(nn.Module):
        def __init__(self, around=lambda layer, h: layer(h)):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.shared, self.around = nn.Linear(4, 4), nn.Linear(4, 4), around

        def forward(self, inputs):
            h = self.first(inputs)
            for _ in range(3):
                h = self.around(self.shared, torch.tanh(h))
            return h

    same(skipped(setup_of(Twice(), x(3, 4)), "shared").model, Twice(lambda layer, h: h + layer(h)), x(3, 4))

    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, h, depth=2):
            return torch.tanh(self.fc(h)) if depth == 0 else self(h, depth - 1) * 2

    model = nn.Sequential(Nested())
    inputs = x(3, 4)
    expected = inputs + torch.tanh(model[0].fc(inputs))
    for _ in range(2):
        expected = inputs + 2 * expected
    torch.testing.assert_close(skipped(setup_of(model, inputs), "0").model(inputs), expected)


class Failing(nn.Module):
    fail = False

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.last = nn.Linear(4, 4)

    def forward(self, inputs):
        h = self.net(inputs)
        return self.last(self.breaks(h))

    def breaks(self, h):
        if self.fail:
            raise ValueError("no")
        return h


def test_a_failed_forward_leaves_nothing_behind():
    edited = skipped(setup_of(Failing(), x(3, 4)), "last").model
    expected = edited(x(3, 4))
    edited.fail = True
    seen = []
    handle = edited.net.register_forward_hook(lambda _m, _a, output: seen.append(weakref.ref(output)))
    with pytest.raises(ValueError, match="no"):
        edited(x(3, 4))
    handle.remove()
    gc.collect()
    kept = [getattr(h, "kept", None) for m in edited.modules() for h in m._forward_hooks.values()]
    assert any(k is not None for k in kept)
    assert all(each.value is None for k in kept if k is not None for each in (k if isinstance(k, list) else [k]))
    edited.fail = False
    torch.testing.assert_close(edited(x(3, 4)), expected)


def test_a_block_that_raised_does_not_confuse_the_next_call():
    class Block(Failing):
        def forward(self, inputs):
            return self.breaks(self.last(inputs))

    model = nn.Sequential(Block())
    edited = skipped(setup_of(model, x(3, 4)), "0").model
    edited[0].fail = True
    with pytest.raises(ValueError, match="no"):
        edited(x(3, 4))
    edited[0].fail = False
    torch.testing.assert_close(edited(2 * x(3, 4)), 2 * x(3, 4) + model(2 * x(3, 4)))


def test_copies_are_independent_and_the_original_is_untouched():
    model = Plain()
    before = digest(model)
    edited = skipped(setup_of(model, x(6, 4)), *HIDDEN).model
    assert digest(model) == before
    assert set(edited.state_dict()) == set(model.state_dict())
    edited(x(6, 4)).sum().backward()  # a graph is alive
    for again in (copy.deepcopy(edited), copy_model(edited).model):
        same(again, copy.deepcopy(edited), x(6, 4))
        with torch.no_grad():
            again.first.weight.zero_()
            assert not torch.allclose(again(x(6, 4)), edited(x(6, 4)))
    loose = copy_model(edited)
    with loose.watch() as talk:
        loose.model(x(6, 4))
    assert not talk


def test_the_probe_sees_the_skips_as_bypassed_blocks():
    """Sigmoid over 20 layers: the gradient arrives, and the spine is that of the network written by hand."""
    names = tuple(f"hidden.{i}" for i in range(20))
    inputs = x(32, 4)
    setup = setup_of(Plain(20), inputs)
    assert any(f.code == "GC101" for f in judge((setup.profile,), SETTINGS))
    subject = skipped(setup, *names)
    own = probe(subject, subject.objectives[0], SETTINGS)
    assert not any(f.code in ("GC101", "GC102", "GC105") for f in judge((own,), SETTINGS))
    hand = subject_of(ByHand(20), inputs)
    other = probe(hand, hand.objectives[0], SETTINGS)
    assert [p.l2 for p in own.spines[0].points] == pytest.approx([p.l2 for p in other.spines[0].points], rel=1e-5)
    assert sum(s.bypassed for s in own.spines[0].segments) == 20
    assert own.layer("hidden.3").gradient.l2 > 0
    assert own.layer("hidden.3").role == "linear"
    assert own.layer("hidden.3").leaf


@pytest.mark.parametrize(
    ("model", "layers", "reason"),
    [
        (nn.Sequential(nn.Linear(4, 3), nn.Tanh()), ("0",), "keeps the shape"),
        (nn.Sequential(nn.Linear(4, 4), nn.Tanh()), ("0",), "keeps the shape"),  # a first layer: no gradient to be saved
        (nn.Sequential(nn.Linear(4, 4), nn.Tanh()), ("7",), "no module"),
        (torch.jit.script(nn.Sequential(nn.Linear(4, 4))), ("0",), "TorchScript"),
    ],
)
def test_what_takes_no_skip_says_why(model, layers, reason):
    with pytest.raises(NotApplicable, match=reason):
        skipped(setup_of(model, x(3, 4)), *layers)
