"""Replace torch calls that one module makes in its own forward, and nowhere else.

`TorchFunctionMode` sees every spelling of a call (`torch.sigmoid`, `x.sigmoid()`, `from torch import sigmoid`). The mode is on
while the owner's forward runs, and acts only when the owner is the innermost running module, read off the Python stack, so
that its children keep their own calls. It is entered by an instance attribute `forward`, which copies and trains like the
rest of the model. A checkpoint inside the owner's forward would recompute without it and give wrong gradients without a
word: such a call is refused.
"""

from __future__ import annotations

import inspect
import itertools
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Protocol

import torch
import torch.autograd.function
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gradcheck_cli.loading.base import Batch, Outcome
from gradcheck_cli.trials.base import NotApplicable
from gradcheck_cli.trials.modules import modules_by_name

_MODULE_CALL: CodeType = nn.Module._call_impl.__code__
_CHECKPOINT, _FUNCTION = torch.utils.checkpoint.__file__, torch.autograd.function.__file__
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Call:
    """One torch call: its plain name (`sigmoid` for `torch.sigmoid_` and `Tensor.sigmoid` alike) and its arguments."""

    func: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def subject(self) -> Any:
        """The first argument, which a method is called on."""
        return self.args[0] if self.args else self.kwargs.get("input", self.kwargs.get("self"))

    @property
    def in_place(self) -> bool:
        """Whether the call writes its result into its first argument."""
        raw = str(getattr(self.func, "__name__", "")).partition(".")[0]
        return bool(self.kwargs.get("inplace")) or raw.startswith("__i") or (raw.endswith("_") and not raw.endswith("__"))


class Rewrite(Protocol):
    """What to do with the calls of a forward; copies of the model share it, so it holds no state."""

    @property
    def places(self) -> frozenset[int] | None:
        """Which calls of one kind are meant, counted from 1 in each forward; None for all."""

    def kind_of(self, call: Call) -> str | None:
        """The kind under which a call that may be replaced is counted, None for other calls."""

    def replace(self, call: Call) -> Any:
        """Do something else in the call's place and return its result."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A call that a rewrite counts. `forward` numbers the forward passes of all owners; `node` made the result."""

    owner: str | None  # None: outside the model, in the loss
    forward: int
    kind: str
    place: int
    node: Any
    replaced: bool


ledger: ContextVar[list[Seen] | None] = ContextVar("ledger", default=None)  # where calls are written down, when somebody asks


def rewrite_in(model: nn.Module, owner: str, rewrite: Rewrite) -> None:
    """Apply a rewrite to the forward of the named module. Raises NotApplicable where no mode reaches."""
    module = modules_by_name(model).get(owner)
    if module is None:
        raise NotApplicable(f"`{owner}` is no module of the model")
    if isinstance(module, torch.jit.ScriptModule):
        raise NotApplicable(f"`{owner or type(module).__name__}` is TorchScript, whose operations cannot be replaced")
    if hasattr(type(module), "__deepcopy__"):  # a traced or exported graph, which is rebuilt from its nodes
        raise NotApplicable(f"`{owner or type(module).__name__}` is a traced graph, whose copies would lose the edit")
    if any("_orig_mod" in vars(m).get("_modules", {}) or vars(m).get("_compiled_call_impl") for m in model.modules()):
        raise NotApplicable("the model is compiled, and a compiled forward cannot be edited")
    scoped = vars(module).get("forward")
    if not isinstance(scoped, ScopedForward):
        scoped = ScopedForward(module, module.forward, owner)
        module.forward = scoped
    scoped.rewrites = (*scoped.rewrites, rewrite)


def withdraw(model: nn.Module, owner: str, rewrite: Rewrite) -> None:
    """Take back what `rewrite_in` did."""
    module = modules_by_name(model)[owner]
    scoped: ScopedForward = vars(module)["forward"]
    scoped.rewrites = tuple(r for r in scoped.rewrites if r is not rewrite)
    if not scoped.rewrites:
        del module.forward
        if module.forward != scoped.forward:  # it had a forward of its own before, as an attribute
            module.forward = scoped.forward


@dataclass(eq=False)
class ScopedForward:
    """A module's forward with the rewrites in force; a deep copy holds the copied module."""

    module: nn.Module
    forward: Callable[..., Any]
    owner: str
    rewrites: tuple[Rewrite, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _Scope(self.owner, self.rewrites, self.module):
            return self.forward(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        """What callers that look at the parameters of `forward` have to see."""
        return inspect.signature(self.forward)


@dataclass(frozen=True)
class ScopedLoss:
    """The `compute` of an objective with rewrites in force for what runs outside the model's own modules."""

    compute: Callable[[nn.Module, Batch], Outcome]
    rewrites: tuple[Rewrite, ...]

    def __call__(self, model: nn.Module, batch: Batch) -> Outcome:
        with _Scope(None, self.rewrites, model):
            return self.compute(model, batch)


@dataclass(eq=False)
class _Scope(TorchFunctionMode):
    """The mode of one forward pass of the owner, or with `owner` None of one pass through everything around the model."""

    owner: str | None
    rewrites: tuple[Rewrite, ...]
    module: nn.Module
    counts: Counter[str] = field(default_factory=Counter)
    number: int = field(default_factory=lambda: next(_numbers))

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        call = Call(func, call_name(func), args, kwargs or {})
        kinds: dict[str, int] = {}
        chosen: Rewrite | None = None
        for rewrite in self.rewrites:
            kind = rewrite.kind_of(call)
            if kind is None or not (kinds or self._runs()):
                continue
            if kind not in kinds:
                self.counts[kind] += 1
                kinds[kind] = self.counts[kind]
            if chosen is None and (rewrite.places is None or kinds[kind] in rewrite.places):
                chosen = rewrite
        result = func(*args, **call.kwargs) if chosen is None else chosen.replace(call)
        seen = ledger.get()
        if seen is not None:
            node = result.grad_fn if isinstance(result, Tensor) else None
            seen += [Seen(self.owner, self.number, kind, place, node, chosen is not None) for kind, place in kinds.items()]
        return result

    def _runs(self) -> bool:
        """Say whether the innermost running module is the owner. Raises NotApplicable inside a checkpoint of its own."""
        inside: set[int] = set() if self.owner is not None else {id(m) for m in self.module.modules()}
        checkpoint, frame = False, sys._getframe(2)
        while frame is not None:
            code = frame.f_code
            if code is _MODULE_CALL:
                module = frame.f_locals["self"]
                if self.owner is not None:
                    if module is not self.module:
                        return False
                    break
                if id(module) in inside:  # others are loss modules
                    return False
            elif code.co_filename == _CHECKPOINT:
                checkpoint = True
            elif code.co_filename == _FUNCTION and not checkpoint:
                return False  # a hand-written backward would not follow; the call has no node in the graph either
            frame = frame.f_back  # type: ignore[assignment]
        if checkpoint:
            where = f"`{self.owner}`" if self.owner else "the model's own forward"
            raise NotApplicable(f"{where} recomputes the operation in an activation checkpoint, which an edit does not reach")
        return True


def call_name(func: Any) -> str:
    """Name a torch function without its namespace, underscores and overload; `get_data` for reading `.data`."""
    name = str(getattr(func, "__name__", func)).partition(".")[0]
    if name == "__get__":
        return f"get_{getattr(func.__self__, '__name__', '')}"
    return name.strip("_").removeprefix("special_").removeprefix("linalg_")
