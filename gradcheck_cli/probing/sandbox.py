"""Use a model and leave it as it was: snapshot, restore in `finally`, and check by digest."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.probing.belongings import AFTER_ACCUMULATION, HOOK_TABLES, entries, holds, refill
from gradcheck_cli.probing.bits import fingerprint
from gradcheck_cli.probing.digest import Inventory, differences, layout
from gradcheck_cli.probing.process_state import ProcessState, generator_state, set_generator_state
from gradcheck_cli.probing.vault import Vault

SHOWN_CHANGES = 8


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Let a model be run forward and backward; afterwards it, its `.grad` and the random generators are as before.

    Inside, every `.grad` of the model is None, and hooks that run after accumulation are off: they may step an optimizer,
    whose state nobody could bring back. Restores on exceptions and Ctrl-C as well, and holds a Ctrl-C back until
    it has restored. Raises E572, listing what changed, if the digest differs after the restoration.
    """
    snapshot = Snapshot(model)
    try:
        snapshot.set_aside()
        yield
    finally:
        interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)
        with _interrupts_held_back():
            changed = snapshot.restore()
        if changed and not interrupted:
            raise _not_restored(changed)


class Snapshot:
    """Everything needed to put a model and the process's random and mode state back, object identities included."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.before = Inventory(model)
        found = self.before.found
        self.classes = [(m, type(m), m.training) for m in found.modules.values()]
        self.contents = [(c, len(c), entries(c)) for c in found.containers.values()]
        self.generators = [(g, generator_state(g)) for g in found.generators.values()]
        self.tensors = {label: _TensorState(t) for label, t in found.tensors.items()}
        self.arrays = {label: a.copy() for label, a in found.arrays.items()}
        self.vault = Vault({label: s.data for label, s in self.tensors.items()})
        self.globals = ProcessState()

    def set_aside(self) -> None:
        """Empty every `.grad` and post-accumulation hook table; `restore` brings the very objects back."""
        for state in self.tensors.values():
            if state.gradient is not None:
                state.tensor.grad = None
            if state.hooks[AFTER_ACCUMULATION]:
                refill(state.hooks[AFTER_ACCUMULATION], [])

    def restore(self) -> list[str]:
        """Put everything back and return what still differs, in words."""
        for module, kind, training in self.classes:
            if type(module) is not kind:
                object.__setattr__(module, "__class__", kind)
            if isinstance(module, torch.jit.ScriptModule) and module.training is not training:
                module.train(training)
        for container, length, items in self.contents:
            if len(items) == length and not holds(container, items):
                refill(container, items)
        for container in self.before.found.empties:
            if container:
                refill(container, [])
        for generator, value in self.generators:
            set_generator_state(generator, value)
        self.globals.restore()
        for state in self.tensors.values():
            state.restore_gradient()
        return self._restore_tensors()

    def _restore_tensors(self) -> list[str]:
        """Put back the tensors and arrays whose tokens changed, and return what still differs."""
        after = Inventory(self.model)
        for label in {**self.tensors, **self.arrays}:
            if self.before.tokens[label + "="] == after.tokens.get(label + "="):
                continue
            if label in self.arrays:
                self.before.found.arrays[label][...] = self.arrays[label]
            else:
                self.tensors[label].restore()
                if fingerprint(self.tensors[label].tensor) != self.before.tokens[label + "="][-1]:
                    self.vault.write_back(label, self.tensors[label].tensor.data)
            after.refresh(label)
        self.vault.close()
        changed = differences(self.before, after)
        return differences(self.before, Inventory(self.model)) if changed else []


class _TensorState:
    """One tensor's storage, flags, gradient object and hook tables (the bits of its values are in the vault)."""

    __slots__ = ("data", "gradient", "hooks", "kind", "leaf", "place", "requires_grad", "size", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        with torch._C.DisableTorchFunctionSubclass():
            self.tensor, self.kind = tensor, type(tensor)
            self.data, self.place = tensor.data, layout(tensor)
            self.size = tensor.untyped_storage().nbytes() if tensor.layout is torch.strided else 0
            self.requires_grad, self.leaf = tensor.requires_grad, tensor.is_leaf
            self.gradient = tensor.grad if self.leaf else None
            self.hooks = {name: getattr(tensor, name, None) for name in HOOK_TABLES}

    def restore_gradient(self) -> None:
        tensor = self.tensor
        if self.leaf and tensor.is_leaf and tensor.grad is not self.gradient:
            try:
                tensor.grad = self.gradient
            except (RuntimeError, TypeError):
                pass  # the tensor changed its shape or dtype: `restore` sets it right first

    def restore(self) -> None:
        tensor = self.tensor
        with torch._C.DisableTorchFunctionSubclass():
            try:
                if self.leaf and not tensor.is_leaf:
                    tensor.detach_()
                if self.size and self.data.untyped_storage().nbytes() < self.size:
                    self.data.untyped_storage().resize_(self.size)
                if layout(tensor) != self.place:
                    tensor.data = self.data
                if type(tensor) is not self.kind:
                    tensor.__class__ = self.kind
                if self.leaf and tensor.requires_grad != self.requires_grad:
                    tensor.requires_grad_(self.requires_grad)
                self.restore_gradient()
                for name, table in self.hooks.items():
                    if getattr(tensor, name, None) is not table:
                        setattr(tensor, name, table)
            except (RuntimeError, TypeError):
                pass  # what cannot be put back is found, and named, by the comparison of the inventories


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Deliver a Ctrl-C only after the block, in the main thread, where Python delivers it."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield
        return
    arrived: list[Any] = []
    usual = signal.signal(signal.SIGINT, lambda number, frame: arrived.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if arrived and callable(usual):
            usual(*arrived[0])


def _not_restored(changed: list[str]) -> GradcheckError:
    more = len(changed) - SHOWN_CHANGES
    listed = ", ".join(changed[:SHOWN_CHANGES]) + (f" and {more} more" if more > 0 else "")
    return GradcheckError(
        "E572",
        "the model could not be restored after the measurement",
        f"changed: {listed}",
        "this is a fault of gradcheck: report it with the model; until then scan the model in a process of its own",
    )
