"""The capture sees every gradient of the nasty models, changes none, and leaves nothing behind, whatever happens."""

from __future__ import annotations

import collections
import contextlib
import gc
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from nasty_models import FUNCTIONAL, NASTY, Oracle, data, linear, loss_of, net, two_layers
from torch import nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.base import Batch, Objective, Outcome, Subject
from gradcheck_cli.probing.bits import fingerprint
from gradcheck_cli.probing.calls import Ownership
from gradcheck_cli.probing.capture import Capture, graph_of
from gradcheck_cli.probing.digest import Inventory, differences, digest
from gradcheck_cli.probing.kinds import activation_node
from gradcheck_cli.probing.probe import probe
from gradcheck_cli.probing.sandbox import untouched
from gradcheck_cli.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore")
SETTINGS = Settings(target="nasty")


class Kept:
    """Stands for a Summary: keeps the gradient itself; calls are never combined here."""

    def __init__(self, gradient):
        self.gradient = gradient.detach().clone()

    def add(self, other):
        self.gradient = self.gradient + other.gradient


def run(model, inputs, around=contextlib.nullcontext):
    """One step from a fixed random state; `around` wraps our own backward pass. Returns the loss."""
    torch.manual_seed(1)
    loss = loss_of(model(*inputs))
    with around():
        loss.backward()
    return loss.detach()


def captured(model, inputs):
    with Capture(model, reduce=Kept) as capture:
        loss = run(model, inputs, capture.measuring)
    assert capture.failure is None
    taps = [tap for tap in capture.taps.values() if tap.gradient is not None]
    gradients = {(call.name, call.index, leaf): tap.gradient.gradient for tap in taps for call, leaf in tap.calls}
    return gradients, loss


def subject_of(model, inputs, compute=None):
    def default(model, batch):
        output = model(*batch.args)
        return Outcome(loss=loss_of(output), output=output)

    objective = Objective(name="test", kind="other", origin="test", compute=compute or default)
    batch = Batch(args=inputs)
    return Subject(model=model, batches=(batch,), objectives=(objective,), optimizer=None, sites={}, target="nasty"), objective


def values(tensor):
    tensor = tensor.values() if tensor.is_nested else tensor
    return tensor.to_dense() if tensor.is_sparse else tensor


@pytest.fixture(autouse=True)
def process_as_before():
    module = nn.modules.module
    tables = [dict(v) for k, v in vars(module).items() if k.startswith("_global_") and isinstance(v, dict)]
    yield
    assert tables == [dict(v) for k, v in vars(module).items() if k.startswith("_global_") and isinstance(v, dict)]


@pytest.mark.parametrize("name", NASTY)
def test_every_gradient_is_captured(name):
    case = NASTY[name]
    model, inputs = case.make()
    oracle = Oracle(model)
    with oracle.watching():
        run(model, inputs, lambda: contextlib.nullcontext(oracle.forget()))
    expected = oracle.gradients()
    found, _ = captured(*case.make())
    assert expected
    assert {key for key in expected if key not in found} == set(case.unseen)
    for key in expected.keys() - set(case.unseen):
        torch.testing.assert_close(
            values(found[key]), values(expected[key]), rtol=case.tolerance, atol=case.tolerance * 1e-3, check_dtype=False,
            msg=lambda text, key=key: f"{key}: {text}",
        )  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_the_loss_and_the_parameter_gradients_keep_their_bits(name):
    model, inputs = NASTY[name].make()
    loss = run(model, inputs)
    twin, inputs = NASTY[name].make()
    _, watched = captured(twin, inputs)
    assert fingerprint(watched) == fingerprint(loss)
    gradients, others = ({n: p.grad for n, p in m.named_parameters()} for m in (model, twin))
    assert any(g is not None for g in gradients.values())
    for parameter, gradient in gradients.items():
        other = others[parameter]
        assert (gradient is None) == (other is None), parameter
        assert gradient is None or fingerprint(gradient) == fingerprint(other), parameter


@pytest.mark.parametrize("name", NASTY)
def test_a_probe_leaves_the_model_as_it_was(name):
    model, inputs = NASTY[name].make()
    before, inventory = digest(model), Inventory(model)
    subject, objective = subject_of(model, inputs)
    profile = probe(subject, objective, SETTINGS)
    assert differences(inventory, Inventory(model)) == []
    assert digest(model) == before
    assert any(layer.gradient is not None for layer in profile.layers)
    assert not [gap for gap in profile.gaps if "an observation failed" in gap]


def test_what_nobody_can_see_is_said():
    subject, objective = subject_of(*NASTY["overwritten_view"].make())
    profile = probe(subject, objective, SETTINGS)
    assert any("`cut`" in gap and "not observable" in gap for gap in profile.gaps)
    assert profile.layer("cut").state == "measured"


@pytest.mark.parametrize("name", FUNCTIONAL)
def test_activations_without_a_module_have_their_owner(name):
    build, x, expected = FUNCTIONAL[name]
    model = build().double()
    found, watched = collections.Counter(), set()

    def watch(graph, calls, recompute=False):
        ownership = Ownership(calls, recompute)
        for node in graph.order:
            kind = activation_node(node)
            if kind and ownership.inside(node):
                owner = ownership.owner(node)
                found[owner.name if owner else None, kind] += 1
                watched.add(node)
                capture.watch_operation(node, Kept)

    capture = Capture(model, reduce=Kept, on_recompute=lambda graph, calls: watch(graph, calls, True))
    with capture, torch.backends.mkldnn.flags(enabled=False):
        loss = loss_of(model(x.double()))
        watch(graph_of(loss), capture.calls)
        with capture.measuring():
            loss.backward()
    assert found == expected
    assert set(capture.op_gradients) == watched


# --- nothing is left behind when something goes wrong -------------------------------------------------------------


class Trouble(torch.autograd.Function):
    """Does something in backward."""

    @staticmethod
    def forward(ctx, x, action):
        ctx.action = action
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        ctx.action()
        return gradient, None


def fail():
    raise ArithmeticError("on purpose")


def interrupt():
    signal.raise_signal(signal.SIGINT)


def troubled(where, action):
    """A model that changes buffers and consumes random numbers, then acts in the given place."""

    def forward(self, x):
        h = self.drop(self.norm(self.stem(x)))
        self.steps += 1
        if where == "forward":
            action()
        h = torch.utils.checkpoint.checkpoint(self.block, h, use_reentrant=where.endswith("reentrant"))
        return self.head(Trouble.apply(h, action) if where.startswith("backward") else h)

    model = net(forward, stem=linear(), norm=nn.BatchNorm1d(4), drop=nn.Dropout(0.3), block=two_layers(), head=nn.LazyLinear(2))
    model.steps = 0
    return model


@pytest.mark.parametrize("where", ["forward", "backward", "backward, reentrant"])
@pytest.mark.parametrize(("action", "error"), [(fail, (ArithmeticError, GradcheckError)), (interrupt, KeyboardInterrupt)])
def test_a_failing_pass_leaves_the_model_as_it_was(where, action, error):
    model = troubled(where, action)
    model.stem.weight.grad = torch.ones(4, 4)
    before, inventory = digest(model), Inventory(model)
    subject, objective = subject_of(model, (data(5, 4),))
    with pytest.raises(error):
        probe(subject, objective, SETTINGS)
    assert differences(inventory, Inventory(model)) == []
    assert digest(model) == before


@pytest.mark.parametrize("hook", ["reduce", "on_output"])
def test_a_failure_of_our_own_hooks_does_not_reach_the_model(hook):
    model, x = troubled("nowhere", fail), data(5, 4)
    before = digest(model)
    with untouched(model):
        loss = run(model, (x,))
        gradients = {n: fingerprint(p.grad) for n, p in model.named_parameters()}
    with untouched(model):
        with Capture(model, **{hook: lambda *args: fail()}) as capture:
            watched = run(model, (x,), capture.measuring)
        assert {n: fingerprint(p.grad) for n, p in model.named_parameters()} == gradients
    assert isinstance(capture.failure, ArithmeticError)
    assert fingerprint(watched) == fingerprint(loss)
    assert digest(model) == before


def test_the_frame_names_the_layer_that_raised():
    model = nn.Sequential(linear(), nn.Sequential(linear(), linear(5, 4)), linear())
    with Capture(model) as capture:
        with pytest.raises(RuntimeError):
            model(data(3, 4))
        names = [call.name for call in capture.calls]
    assert names == ["", "0", "1", "1.0", "1.1"]


CHILD = """
import itertools, os, sys
sys.path[:0] = {paths!r}
import torch
from torch import nn
from nasty_models import data, linear, net
from test_capture_nasty import SETTINGS, subject_of
from gradcheck_cli.probing.digest import digest
from gradcheck_cli.probing.probe import probe
"""


def child(code, **limits):
    root = Path(__file__).resolve().parents[2]
    source = CHILD.format(paths=[str(root), str(Path(__file__).parent)]) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-B", "-X", "faulthandler", "-c", source],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root, **limits,
    )  # fmt: skip


def test_ctrl_c_from_the_terminal():
    process = child("""
        def forward(self, x):
            for step in itertools.count():  # until the signal comes
                if step == 100:
                    os.write(1, b"in the forward pass\\n")
                x = torch.tanh(self.norm(self.fc(x)))

        model = net(forward, fc=linear(), norm=nn.BatchNorm1d(4))
        before = digest(model)
        try:
            probe(*subject_of(model, (data(3, 4),)), SETTINGS)
        except KeyboardInterrupt:
            print("interrupted", digest(model) == before, model.norm.num_batches_tracked.item())
        """)
    try:
        assert process.stdout.readline() == "in the forward pass\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert output == "interrupted True 0\n", errors[-2000:]


def _big_stack():
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = 1 << 30
    resource.setrlimit(resource.RLIMIT_STACK, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


@pytest.mark.slow
def test_a_graph_of_80_000_steps_is_measured_and_freed():
    process = child("""
        def forward(self, x):
            for _ in range(80_000):
                x = self.fc(x)
            return x

        model = net(forward, fc=linear())
        profile = probe(*subject_of(model, (data(3, 4),)), SETTINGS)
        print(profile.layer("fc").calls, profile.layer("fc").gradient.numel, flush=True)
        """, preexec_fn=_big_stack)  # fmt: skip
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-2000:]
    assert output == "80000 960000\n"


def test_forty_probes_need_no_more_memory_than_one():
    """With the garbage collector off: a reference cycle around a tensor or node would keep 4 MiB a probe, 160 in all."""
    model = nn.Sequential(*[layer for _ in range(4) for layer in (linear(64, 64), nn.BatchNorm1d(64), nn.Tanh())])
    subject, objective = subject_of(model, (data(1024, 64),))

    def tensors():
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    for _ in range(3):
        probe(subject, objective, SETTINGS)
    gc.collect()
    gc.disable()
    try:
        count, memory = tensors(), resident()
        for _ in range(40):
            probe(subject, objective, SETTINGS)
        assert tensors() == count
        assert resident() - memory < 80.0
    finally:
        gc.enable()
