"""Models that break naive ways of watching gradients, and an oracle for what a right way must see.

Each entry of `NASTY` builds a model in double precision with its inputs; `loss_of` makes a loss that uses every differentiable
output. `oracle` adds a zero leaf to each module output and reads the leaf's gradient: exact, but it changes aliasing, so it is
a judge for tests and no way to measure.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from gradcheck_cli.probing.calls import module_names
from gradcheck_cli.probing.capture import in_backward
from gradcheck_cli.probing.tensors import tensors_in

Key = tuple[str, int, int]  # module name, call, position of the tensor in the output


@dataclasses.dataclass(frozen=True)
class Nasty:
    title: str
    build: Callable[[], tuple[nn.Module, tuple[Any, ...]]]
    tolerance: float = 1e-9
    cast: bool = True  # to double precision
    unseen: tuple[Key, ...] = ()  # what no observer can see
    aliased: bool = False  # the output is an object the oracle cannot take apart without changing it

    def make(self) -> tuple[nn.Module, tuple[Any, ...]]:
        torch.manual_seed(0)
        model, inputs = self.build()
        return (model.double(), tuple(map(_double, inputs))) if self.cast else (model, inputs)


NASTY: dict[str, Nasty] = {}


def nasty(title: str, **options: Any) -> Callable[[Callable[[], tuple[nn.Module, tuple[Any, ...]]]], Any]:
    def register(build: Callable[[], tuple[nn.Module, tuple[Any, ...]]]) -> Any:
        NASTY[build.__name__] = Nasty(title, build, **options)
        return build

    return register


def net(forward: Callable[..., Any], **children: nn.Module) -> nn.Module:
    """A module of its own class with the given children and forward."""
    module = type("Net", (nn.Module,), {"forward": forward})()
    for name, child in children.items():
        module.add_module(name, child)
    return module


def linear(inputs: int = 4, outputs: int = 4, **options: Any) -> nn.Linear:
    return nn.Linear(inputs, outputs, **options)


def two_layers() -> nn.Sequential:
    return nn.Sequential(linear(), nn.Tanh(), linear())


def data(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def loss_of(output: Any) -> Tensor:
    """Σ(|t|² + |t|/2) over the differentiable tensors: no element's gradient is zero by symmetry."""
    parts = [t for t in tensors_in(output) if t.requires_grad]
    return sum(((t.abs() if t.is_complex() else t).square().sum() + t.abs().sum() / 2 for t in parts), torch.zeros(()))


# --- in place ------------------------------------------------------------------------------------------------------


@nasty("nothing unusual")
def plain():
    return nn.Sequential(linear(), nn.Tanh(), linear(), nn.Tanh(), linear()), (data(3, 4),)


@nasty("activations that overwrite their input")
def inplace_activation():
    return nn.Sequential(linear(), nn.ReLU(inplace=True), linear(), nn.ELU(0.5, inplace=True), linear()), (data(3, 4),)


@nasty("a skip added with +=")
def inplace_skip():
    def forward(self, x):
        skip = self.stem(x)
        out = self.branch(skip)
        out += skip
        return self.head(out)

    return net(forward, stem=linear(), branch=linear(), head=linear()), (data(3, 4),)


@nasty("columns of an output overwritten by other columns")
def slice_assignment():
    def forward(self, x):
        h = self.stem(x)
        h[:, :2] = 3 * h[:, 2:]
        return self.head(h)

    return net(forward, stem=linear(), head=linear()), (data(3, 4),)


@nasty("a returned view is overwritten in place: its node leaves the graph", unseen=(("cut", 0, 0),))
def overwritten_view():
    def forward(self, x):
        view = self.cut(self.stem(x))
        view.mul_(3)
        return self.head(view)

    return net(forward, stem=linear(), cut=net(lambda self, x: x[:, :2]), head=linear(2, 2)), (data(3, 4),)


@nasty("modules that return their very input, edited in place afterwards")
def returned_input():
    def forward(self, x):
        h = self.same(self.stem(x))
        h.add_(1)
        return self.head(self.drop(h))

    return net(forward, stem=linear(), same=nn.Identity(), drop=nn.Dropout(0.5).eval(), head=linear()), (data(3, 4),)


# --- what a module returns -----------------------------------------------------------------------------------------


@nasty("a dict with a number in it")
def returns_dict():
    encoder = net(lambda self, x: {"count": 3, "code": torch.tanh(self.fc(x))}, fc=linear())
    return net(lambda self, x: self.head(self.encoder(x)["code"]), encoder=encoder, head=linear()), (data(3, 4),)


@dataclasses.dataclass
class Record:
    code: Tensor
    extra: Any = None


@nasty("a dataclass")
def returns_dataclass():
    encoder = net(lambda self, x: Record(torch.tanh(self.fc(x))), fc=linear())
    return net(lambda self, x: Record(self.head(self.encoder(x).code)), encoder=encoder, head=linear()), (data(3, 4),)


Pair = collections.namedtuple("Pair", ["main", "rest"])


@nasty("a named tuple with None, nesting and an unused tensor")
def returns_named_tuple():
    encoder = net(lambda self, x: Pair(self.one(x), (None, self.two(x), {"again": self.one(x)})), one=linear(), two=linear())

    def forward(self, x):
        pair = self.encoder(x)
        return self.head(pair.main) + pair.rest[2]["again"]

    return net(forward, encoder=encoder, head=linear()), (data(3, 4),)


class Loop:
    """An object that holds itself."""

    def __init__(self, code: Tensor) -> None:
        self.code = code
        self.itself = self


@nasty("an object with a reference cycle", aliased=True)
def returns_cycle():
    encoder = net(lambda self, x: Loop(self.fc(x)), fc=linear())
    return net(lambda self, x: self.head(self.encoder(x).code), encoder=encoder, head=linear()), (data(3, 4),)


@nasty("one of its own parameters")
def returns_parameter():
    table = net(lambda self, x: self.rows)
    table.rows = nn.Parameter(data(3, 4))
    model = net(lambda self, x: self.head(self.stem(x) + self.table(x)), stem=linear(), table=table, head=linear())
    return model, (data(3, 4),)


@nasty("four chunks, one of them unused")
def returns_chunks():
    def forward(self, x):
        one, two, _, four = self.cut(self.stem(x))
        return self.head(torch.cat([2 * one, two, four], dim=1))

    return net(forward, stem=linear(), cut=net(lambda self, x: x.chunk(4, dim=1)), head=linear(3, 2)), (data(3, 4),)


# --- calls ---------------------------------------------------------------------------------------------------------


@nasty("one layer called four times")
def shared_layer():
    def forward(self, x):
        for _ in range(4):
            x = torch.tanh(self.fc(x))
        return x

    return net(forward, fc=linear()), (data(3, 4),)


@nasty("a cell unrolled over 12 steps beside an unused branch")
def unrolled_cell():
    def forward(self, x):
        state = torch.zeros_like(x[:, 0])
        for step in x.unbind(1):
            state = self.cell(step, state)
            self.unused(state)
        return self.head(state)

    return net(forward, cell=nn.RNNCell(4, 4), unused=linear(), head=linear()), (data(3, 12, 4),)


@nasty("a fused LSTM and its nested tuple")
def fused_lstm():
    def forward(self, x):
        sequence, (hidden, _) = self.lstm(x)
        return self.head(sequence[:, -1]) + hidden[-1]

    return net(forward, lstm=nn.LSTM(4, 4, num_layers=2, batch_first=True), head=linear()), (data(3, 5, 4),)


@nasty("embedding and decoder with one weight")
def tied_weights():
    embedding, decoder = nn.Embedding(7, 4), linear(4, 7, bias=False)
    decoder.weight = embedding.weight
    model = net(lambda self, x: self.decoder(torch.tanh(self.embedding(x))), embedding=embedding, decoder=decoder)
    return model, (torch.tensor([[1, 2], [3, 1]]),)


@nasty("tensors passed by keyword only")
def keyword_only():
    inner = net(lambda self, *, x, scale=1.0: scale * self.fc(x), fc=linear())
    return net(lambda self, x: self.head(self.inner(x=self.stem(x), scale=2.0)), stem=linear(), inner=inner, head=linear()), (
        data(3, 4),
    )


@nasty("branches and loops that depend on the data")
def control_flow():
    def forward(self, x):
        h = self.stem(x)
        h = self.left(h) if h.sum() > 0 else self.right(h)
        while h.abs().max() > 1:
            h = 0.3 * self.shrink(h)
        return self.head(h)

    return net(forward, **{n: linear() for n in ("stem", "left", "right", "shrink", "head")}), (data(3, 4),)


@nasty("layers in a plain Python list")
def plain_list():
    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.head(x)

    model = net(forward, head=linear())
    model.hidden = [linear().double(), linear().double()]
    return model, (data(3, 4),)


class SkipsHooks(nn.Module):
    """Calls itself without nn.Module.__call__."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = linear()

    def __call__(self, x: Tensor) -> Tensor:
        return torch.tanh(self.fc(x))


@nasty("a class with a __call__ of its own")
def own_call():
    return net(lambda self, x: self.head(self.odd(self.stem(x))), stem=linear(), odd=SkipsHooks(), head=linear()), (data(3, 4),)


@nasty("two branches in two threads")
def two_threads():
    def forward(self, x):
        results: dict[str, Tensor] = {}

        def work(name: str) -> None:
            results[name] = getattr(self, name)(x)

        threads = [threading.Thread(target=work, args=(name,)) for name in ("left", "right")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.head(results["left"] + results["right"])

    return net(forward, left=two_layers(), right=two_layers(), head=linear()), (data(3, 4),)


@nasty("600 steps through one layer")
def long_loop():
    def forward(self, x):
        for _ in range(600):
            x = 0.1 * x + 0.9 * self.fc(x)
        return x

    return net(forward, fc=linear()), (data(3, 4),)


# --- hooks and graph surgery ---------------------------------------------------------------------------------------


@nasty("a forward hook of the user's replaces an output")
def replacing_hook():
    model = nn.Sequential(linear(), nn.Tanh(), linear())
    model[1].register_forward_hook(lambda module, inputs, output: 2 * output)
    return model, (data(3, 4),)


@nasty("a tensor hook of the user's scales the gradient")
def scaled_gradient():
    def forward(self, x):
        h = self.stem(x)
        h.register_hook(lambda gradient: gradient / 100)
        return self.head(h)

    return net(forward, stem=linear(), head=linear()), (data(3, 4),)


class Swallow(torch.autograd.Function):
    """Passes values and no gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return None


@nasty("a Function whose backward returns None")
def swallowed_gradient():
    def forward(self, x):
        return self.head(Swallow.apply(self.cut(x)) + self.kept(x))

    return net(forward, cut=linear(), kept=linear(), head=linear()), (data(3, 4),)


@nasty("a gradient penalty computed in the forward")
def gradient_penalty():
    def forward(self, x):
        x = x.clone().requires_grad_(True)
        score = self.head(torch.tanh(self.stem(x)))
        (slope,) = torch.autograd.grad(score.sum(), x, create_graph=True)
        return score.mean() + slope.norm()

    return net(forward, stem=linear(), head=linear(4, 1)), (data(3, 4),)


@nasty("a side loss that runs backward in the forward")
def backward_in_forward():
    def forward(self, x):
        h = self.stem(x)
        h.square().sum().backward(retain_graph=True)
        return self.head(h)

    return net(forward, stem=linear(), head=linear()), (data(3, 4),)


@nasty("detached and no_grad branches")
def detached_branches():
    def forward(self, x):
        h = self.stem(x)
        with torch.no_grad():
            constant = self.teacher(h)
        return self.main(h + constant) + self.side(h.detach())

    return net(forward, **{n: linear() for n in ("stem", "teacher", "main", "side")}), (data(3, 4),)


@nasty("frozen first layer")
def frozen_start():
    model = nn.Sequential(linear(), nn.ReLU(), linear(), nn.ReLU(), linear())
    model[0].requires_grad_(False)
    return model, (data(3, 4),)


@nasty("frozen layer in the middle, which the gradient must cross")
def frozen_middle():
    model = nn.Sequential(linear(), nn.Tanh(), linear(), nn.Tanh(), linear())
    model[2].requires_grad_(False)
    return model, (data(3, 4),)


# --- checkpoints, compilers, exporters -----------------------------------------------------------------------------


@nasty("reentrant checkpoint")
def checkpoint_reentrant():
    def forward(self, x):
        return self.head(checkpoint(self.block, self.stem(x), use_reentrant=True))

    return net(forward, stem=linear(), block=two_layers(), head=linear()), (data(3, 4),)


@nasty("non-reentrant checkpoint, whose recomputation is cut short by an exception")
def checkpoint_cut_short():
    def forward(self, x):
        return self.head(checkpoint(self.block, self.stem(x), use_reentrant=False))

    return net(forward, stem=linear(), block=two_layers(), head=linear()), (data(3, 4),)


@nasty("one block in three reentrant checkpoints: recomputed last call first")
def checkpoint_shared():
    def forward(self, x):
        x = self.stem(x)
        for _ in range(3):
            x = checkpoint(self.block, x, use_reentrant=True)
        return self.head(x)

    return net(forward, stem=linear(), block=two_layers(), head=linear()), (data(3, 4),)


@nasty("a compiled block that has already run")
def compiled_and_run():
    torch._dynamo.reset()
    block = torch.compile(two_layers(), backend="aot_eager")
    model = net(lambda self, x: self.head(self.block(self.stem(x))), stem=linear(), block=block, head=linear()).double()
    model(data(3, 4).double()).sum().backward()
    model.zero_grad(set_to_none=True)
    return model, (data(3, 4),)


@nasty("a scripted block")
def scripted():
    block = torch.jit.script(two_layers())
    return net(lambda self, x: self.head(self.block(self.stem(x))), stem=linear(), block=block, head=linear()), (data(3, 4),)


@nasty("a traced block")
def traced():
    block = torch.jit.trace(two_layers(), data(3, 4))
    return net(lambda self, x: self.head(self.block(self.stem(x))), stem=linear(), block=block, head=linear()), (data(3, 4),)


@nasty("an exported program, unflattened")
def exported():
    return torch.export.unflatten(torch.export.export(two_layers(), (data(3, 4),))), (data(3, 4),)


# --- parameters and kinds of tensors -------------------------------------------------------------------------------


@nasty("lazy layers")
def lazy_layers():
    return nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.LazyLinear(2)), (data(3, 4),)


@nasty("parametrised weights")
def parametrised():
    norms = nn.utils.parametrizations
    return nn.Sequential(norms.spectral_norm(linear()), nn.Tanh(), norms.weight_norm(linear())).eval(), (data(3, 4),)


@nasty("sparse embedding gradients")
def sparse_embedding():
    model = net(lambda self, x: self.head(self.embedding(x)), embedding=nn.Embedding(9, 4, sparse=True), head=linear())
    return model, (torch.tensor([[1, 1], [2, 3]]),)


@nasty("complex weights", cast=False)
def complex_weights():
    model = nn.Sequential(linear(dtype=torch.complex128), linear(4, 2, dtype=torch.complex128))
    return model, (torch.complex(data(3, 4), data(4, 3).t()).to(torch.complex128),)


@nasty("automatic mixed precision in bfloat16", cast=False, tolerance=1e-2)
def mixed_precision():
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.head(torch.relu(self.stem(x))).float()

    return net(forward, stem=linear(), head=linear()), (data(3, 4),)


@nasty("multi-head attention in an encoder layer")
def attention():
    return nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), (data(2, 3, 4),)


@nasty("a jagged nested tensor")
def jagged():
    def forward(self, x):
        ragged = torch.nested.nested_tensor([x[:2], x], layout=torch.jagged)
        return self.head(torch.tanh(self.stem(ragged))).values()

    return net(forward, stem=linear(), head=linear()), (data(3, 4),)


@nasty("an ensemble by vmap and functional_call")
def vmapped():
    def forward(self, x):
        stacked = {name: torch.stack([p, 2 * p]) for name, p in self.fc.named_parameters()}
        outputs = torch.func.vmap(lambda weights: torch.func.functional_call(self.fc, weights, (x,)))(stacked)
        return self.head(outputs.sum(0))

    return net(forward, fc=linear(), head=linear()), (data(3, 4),)


# --- the oracle ----------------------------------------------------------------------------------------------------


class Oracle:
    """Gradient of a zero leaf added to each output tensor of each call of each hookable module."""

    def __init__(self, model: nn.Module) -> None:
        self.names, self.leaves = module_names(model), dict[Key, Tensor]()
        self.counts = {False: collections.Counter[str](), True: collections.Counter[str]()}
        self.hookable = [m for m in model.modules() if _is_hookable(m)]

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        handles = [m.register_forward_hook(self._perturb) for m in self.hookable]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def forget(self) -> None:
        """Drop what backward passes inside the forward have left."""
        for leaf in self.leaves.values():
            leaf.grad = None

    def gradients(self) -> dict[Key, Tensor]:
        return {key: leaf.grad for key, leaf in self.leaves.items() if leaf.grad is not None}

    def _perturb(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        name, counter = self.names[id(module)], self.counts[in_backward()]
        call, position = counter[name], iter(range(10_000))
        counter[name] += 1
        return self._add(output, lambda tensor: self._leaf(tensor, (name, call, next(position))))

    def _leaf(self, tensor: Tensor, key: Key) -> Tensor:
        if not tensor.requires_grad:
            return tensor
        leaf = torch.zeros_like(tensor.detach()).requires_grad_(True)
        self.leaves.setdefault(key, leaf)  # a recomputation must not replace the leaf of the first pass
        return tensor + leaf

    def _add(self, value: Any, change: Callable[[Tensor], Tensor]) -> Any:
        if isinstance(value, Tensor):
            return change(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(self._add(v, change) for v in value))
        if isinstance(value, (list, tuple)):
            return type(value)(self._add(v, change) for v in value)
        if isinstance(value, dict):
            return {k: self._add(v, change) for k, v in value.items()}
        if dataclasses.is_dataclass(value):
            fields = [f.name for f in dataclasses.fields(value)]
            return dataclasses.replace(value, **{f: self._add(getattr(value, f), change) for f in fields})
        if isinstance(value, Loop):
            value.code = change(value.code)
        return value


def _is_hookable(module: nn.Module) -> bool:
    return not isinstance(module, torch.jit.ScriptModule) or isinstance(module, torch.jit.TopLevelTracedModule)


# --- operations without a module -----------------------------------------------------------------------------------


class Functional(nn.Module):
    """Three layers and five activations, all called as functions or methods."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = linear(), linear(), linear()

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.one(x))
        x = F.gelu(self.two(x)).tanh()
        x = F.linear(x, self.three.weight, self.three.bias)
        return (x * torch.sigmoid(x)).relu_()


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(torch.relu(self.fc(x)))


def _rectified() -> nn.Module:
    return net(lambda self, x: torch.relu(self.fc(x)), fc=linear())


def _checkpointed(reentrant: bool) -> nn.Module:
    def forward(self, x):
        return checkpoint(self.block, self.stem(x), use_reentrant=reentrant)

    return net(forward, stem=linear(), block=_rectified())


# name → (builder, input, {(owner, activation): how many})
FUNCTIONAL: dict[str, tuple[Callable[[], nn.Module], Tensor, dict[tuple[str, str], int]]] = {
    "functions and methods": (
        Functional, data(3, 4), {("", "relu"): 2, ("", "gelu"): 1, ("", "tanh"): 1, ("", "sigmoid"): 1}
    ),
    "in submodules": (
        lambda: net(
            lambda self, x: self.q(self.p(x)), p=_rectified(), q=net(lambda self, x: self.fc(x).sigmoid(), fc=linear())
        ),
        data(3, 4), {("p", "relu"): 1, ("q", "sigmoid"): 1},
    ),
    "modules": (
        lambda: nn.Sequential(linear(), nn.ReLU(), linear(), nn.SiLU(), linear(), nn.Hardtanh()),
        data(3, 4), {("1", "relu"): 1, ("3", "silu"): 1, ("5", "hardtanh"): 1},
    ),
    "fused RNN": (
        lambda: net(lambda self, x: self.rnn(x)[0], rnn=nn.RNN(4, 4, batch_first=True)), data(2, 5, 4), {("rnn", "tanh"): 5}
    ),
    "fused LSTM": (
        lambda: net(lambda self, x: self.lstm(x)[0], lstm=nn.LSTM(4, 4, batch_first=True)),
        data(2, 5, 4), {("lstm", "sigmoid"): 15, ("lstm", "tanh"): 10},
    ),
    "attention": (
        lambda: net(lambda self, x: self.mha(x, x, x)[0], mha=nn.MultiheadAttention(4, 2, batch_first=True)),
        data(2, 3, 4), {("mha", "softmax"): 1},
    ),
    "scripted": (
        lambda: net(lambda self, x: self.block(self.stem(x)), stem=linear(), block=torch.jit.script(Scripted())),
        data(3, 4), {("block", "relu"): 1, ("block", "sigmoid"): 1},
    ),
    "non-reentrant checkpoint": (lambda: _checkpointed(False), data(3, 4), {("block", "relu"): 1}),
    "reentrant checkpoint": (lambda: _checkpointed(True), data(3, 4), {("block", "relu"): 1}),
    "data-dependent": (
        lambda: net(lambda self, x: torch.tanh(self.fc(x)) if x.sum() > -99 else x, fc=linear()),
        data(3, 4), {("", "tanh"): 1},
    ),
}  # fmt: skip
