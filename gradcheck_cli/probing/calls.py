"""Module calls: their names, the tensors they return, and which call made an autograd node."""

from __future__ import annotations

import bisect
import threading
from dataclasses import dataclass, field

from torch import nn

from gradcheck_cli.probing.graph import Node
from gradcheck_cli.probing.summary import Summary, combined


@dataclass(slots=True, eq=False)
class Call:
    """One call of one module. `first` and `last` bound the sequence numbers of the autograd nodes made inside it."""

    name: str
    module: nn.Module
    index: int
    order: int
    thread: int
    parent: Call | None
    first: int
    last: int | None = None
    rank: int = 0  # in order of return: a child before its parent
    recompute: bool = False  # inside a backward pass: activation checkpointing runs the forward again
    in_transform: bool = False  # its outputs are wrapped by a function transform (vmap, grad): no edge to watch


@dataclass(slots=True, eq=False)
class Tap:
    """One measured tensor: output `number` of an autograd node, and the calls that return it, innermost first."""

    node: Node
    number: int
    calls: list[tuple[Call, int]]
    gradients: list[Summary] = field(default_factory=list)  # one for each time that the backward pass comes by

    @property
    def gradient(self) -> Summary | None:
        return combined(self.gradients)


@dataclass(slots=True)
class Ownership:
    """Which module call made an autograd node, by intervals of sequence numbers on the main thread.

    Looks at the calls of the forward pass, or with `recompute` at those a checkpoint made during the backward pass.
    """

    calls: list[Call]
    recompute: bool = False
    starts: list[int] = field(init=False)
    end: int = field(init=False)

    def __post_init__(self) -> None:
        thread = threading.get_ident()
        self.calls = [c for c in self.calls if c.thread == thread and c.last is not None and c.recompute == self.recompute]
        self.starts = [c.first for c in self.calls]
        self.end = max((c.last or 0 for c in self.calls), default=0)

    def owner(self, node: Node) -> Call | None:
        """The innermost call that made the node; None for the loss function's own operations."""
        number = node._sequence_nr()
        at = bisect.bisect_right(self.starts, number) - 1
        call = self.calls[at] if at >= 0 else None
        while call is not None and not call.first <= number < (call.last or 0):
            call = call.parent
        return call

    def inside(self, node: Node) -> bool:
        """True if the node was made before the last module call ended: it belongs to the model, not to the loss."""
        return bool(node._sequence_nr() < self.end)


def module_names(model: nn.Module) -> dict[int, str]:
    """id → name of every registered module, and of modules kept in plain lists, tuples or dicts of a registered one."""
    names: dict[int, str] = {}
    modules = list(model.named_modules())
    for name, module in modules:
        names.setdefault(id(module), name.replace("_orig_mod.", "").removesuffix("_orig_mod").removesuffix("."))
    for name, module in modules:
        for key, value in vars(module).items():
            if not isinstance(value, (list, tuple, dict)) or not value or key in ("_modules", "_parameters", "_buffers"):
                continue
            for index, item in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(item, nn.Module) and id(item) not in names:
                    prefix = f"{name}.{key}[{index}]" if name else f"{key}[{index}]"
                    for inner, child in item.named_modules():
                        names.setdefault(id(child), f"{prefix}.{inner}" if inner else prefix)
    return names
