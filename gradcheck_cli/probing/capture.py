"""Observe one forward and backward pass without touching a tensor that the model can see.

Global forward hooks leave every hook dictionary of the model alone and also see TorchScript modules and modules that are not
registered anywhere. For each differentiable tensor in a module's output `get_gradient_edge` names the autograd node and output
number that produced it; a pre-hook on that node reads the gradient. Nothing becomes a view, so in-place operations keep working
(full backward hooks break on them), and nothing is kept but numbers. Operations without a module are found by walking the graph
from the loss; a node belongs to the innermost module call whose interval of sequence numbers holds it.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.nn.modules.module import (
    _global_forward_hooks_with_kwargs,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from gradcheck_cli.probing.calls import Call, Tap, module_names
from gradcheck_cli.probing.graph import Graph, Node
from gradcheck_cli.probing.statistics import summarise
from gradcheck_cli.probing.summary import Summary, combined
from gradcheck_cli.probing.tensors import tensors_in


def _sequence_number() -> int:
    """The number that the next autograd node of this thread gets."""
    return int(torch.autograd._get_sequence_nr())  # type: ignore[attr-defined]


def in_backward() -> bool:
    return bool(torch._C._current_graph_task_id() != -1)


class Capture:
    """Context manager around one forward and backward pass.

    `on_output(call, output)` sees each call's output during the forward pass, under no_grad; it must keep numbers only.
    `on_recompute(graph, calls)` sees the graph that a reentrant checkpoint builds when it runs a module again during our
    backward pass, before that graph is used: the loss cannot reach it, so its operations have to be watched from here.
    Gradients are recorded only inside `measuring()`, so a backward pass inside the user's forward does not count.
    A failure in our own hooks never reaches the user's code: the first one is kept in `failure`.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        on_output: Callable[[Call, tuple[Any, ...], dict[str, Any], Any], None] | None = None,
        on_recompute: Callable[[Graph, list[Call]], None] | None = None,
        reduce: Callable[[Tensor], Summary] = summarise,
    ) -> None:
        self.model, self.reduce, self.on_output, self.on_recompute = model, reduce, on_output, on_recompute
        self.names = module_names(model)
        self.calls: list[Call] = []
        self.taps: dict[tuple[Node, int], Tap] = {}
        self.op_gradients: dict[Node, list[Summary]] = {}
        self.failure: Exception | None = None
        self._hooked: dict[Node, list[Tap]] = {}
        self._handles: list[Any] = []
        self._counts: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
        self._stack = threading.local()
        self._recording = False
        self._returned = 0
        self._foreign: list[nn.Module] = []  # unregistered modules, kept alive so that their ids stay unique
        self._context = contextlib.ExitStack()

    def __enter__(self) -> Capture:
        if "torch._dynamo" in sys.modules:  # compiled regions run eagerly for now, so that inner modules are called
            self._context.enter_context(torch.compiler.set_stance("force_eager"))
        self._context.enter_context(torch.jit.optimized_execution(False))  # type: ignore[attr-defined]
        self._handles.append(register_module_forward_pre_hook(self._before))
        self._handles.append(register_module_forward_hook(self._after, with_kwargs=True, always_call=True))
        for module in self.model.modules():
            if getattr(module, "_forward_hooks", None):  # the user's own hook may replace the output: look after it
                self._handles.append(module.register_forward_hook(self._late))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
            _global_forward_hooks_with_kwargs.pop(getattr(handle, "id", -1), None)  # torch leaves this one behind
        self._handles.clear()
        self._context.close()

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        """Record gradients; wrap our own backward pass in it."""
        self._recording = True
        try:
            yield
        finally:
            self._recording = False

    def gradient_at(self, node: Node) -> Summary | None:
        """The gradient measured at a module's output or a watched operation."""
        taps = self._hooked.get(node)
        return taps[0].gradient if taps else combined(self.op_gradients.get(node, []))

    def release(self) -> None:
        """Drop all autograd nodes, last output first; the caller has dropped loss and outputs."""
        self.op_gradients.clear()
        self.taps.clear()
        while self._hooked:
            self._hooked.popitem()

    def frame(self) -> Call | None:
        """The innermost module call that has not returned: where an exception came from."""
        frames = self._frames()
        return frames[-1] if frames else None

    def _frames(self) -> list[Call]:
        if not hasattr(self._stack, "frames"):
            self._stack.frames = []
        frames: list[Call] = self._stack.frames
        return frames

    def _before(self, module: nn.Module, _args: Any) -> None:
        frames, recompute = self._frames(), in_backward()
        name = self.names.get(id(module))
        if name is None:
            if not frames and not recompute and threading.current_thread() is threading.main_thread():
                return  # another model of the same process: a loss module, a metric
            self._foreign.append(module)
            name = self.names[id(module)] = f"<unregistered {type(module).__name__} {len(self._foreign)}>"
        counter = self._counts[recompute]
        call = Call(
            name=name,
            module=module,
            index=counter[name],
            order=len(self.calls),
            thread=threading.get_ident(),
            parent=frames[-1] if frames else None,
            first=_sequence_number(),
            recompute=recompute,
        )
        counter[name] += 1
        frames.append(call)
        self.calls.append(call)

    def _after(self, module: nn.Module, args: Any, *rest: Any) -> None:
        if id(module) not in self.names:
            return
        # torch leaves the keyword arguments out when it calls the hook because the forward raised
        kwargs, output = rest if len(rest) == 2 else ({}, None)
        frames = self._frames()
        # Frames above this module's own are calls that ended by an exception someone caught: a checkpoint's early stop.
        while frames:
            call = frames.pop()
            call.last = _sequence_number()
            self._returned += 1
            call.rank = self._returned
            if call.module is module:
                self._guarded(self._watch, call, args, kwargs, output)
                if call.recompute and not frames and self._recording and self.on_recompute is not None:
                    self._guarded(self._recomputed, call, output)
                break

    def _late(self, module: nn.Module, _args: Any, output: Any) -> None:
        call = next((c for c in reversed(self.calls) if c.module is module), None)
        # What modules that the hook ran made of the output (a norm put behind a layer) is theirs, and they are watched.
        if call is not None and not any(c.parent is call.parent for c in self.calls[call.order + 1 :]):
            self._guarded(self._watch_replaced, call, output)

    def _guarded(self, action: Callable[..., None], *args: Any) -> None:
        try:
            action(*args)
        except Exception as error:
            self.failure = self.failure or error

    def _recomputed(self, call: Call, output: Any) -> None:
        graph = graph_of(*tensors_in(output))
        if graph.order and self.on_recompute is not None:
            calls = [c for c in self.calls[call.order :] if c.recompute and c.thread == call.thread]
            self.on_recompute(graph, calls)

    def _watch(self, call: Call, args: Any, kwargs: Any, output: Any) -> None:
        self._watch_output(call, output)
        if self.on_output is not None:
            with torch.no_grad():
                self.on_output(call, args, kwargs, output)

    def _watch_replaced(self, call: Call, output: Any) -> None:
        """Measure what a hook of the user's gave in place of the module's output."""
        edges = [] if call.in_transform else [get_gradient_edge(t) for t in tensors_in(output) if t.requires_grad]
        if all((edge.node, edge.output_nr) in self.taps for edge in edges):
            return
        for key, tap in list(self.taps.items()):
            tap.calls[:] = [(c, leaf) for c, leaf in tap.calls if c is not call]
            if not tap.calls:
                del self.taps[key]
                self._hooked[tap.node].remove(tap)
        self._watch_output(call, output)

    def _watch_output(self, call: Call, output: Any) -> None:
        for leaf, tensor in enumerate((output,) if isinstance(output, Tensor) else tensors_in(output)):
            if not tensor.requires_grad:
                continue
            if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
                call.in_transform = True
                continue
            edge = get_gradient_edge(tensor)
            tap = self.taps.get((edge.node, edge.output_nr))
            if tap is not None:  # a container that returns its last child's tensor
                tap.calls.append((call, leaf))
                continue
            tap = self.taps[edge.node, edge.output_nr] = Tap(edge.node, edge.output_nr, [(call, leaf)])
            taps = self._hooked.get(edge.node)
            if taps is None:
                taps = self._hooked[edge.node] = []
                self._handles.append(edge.node.register_prehook(self._reader(taps)))
            taps.append(tap)

    def _reader(self, taps: list[Tap]) -> Callable[[tuple[Tensor | None, ...]], None]:
        def read(gradients: tuple[Tensor | None, ...]) -> None:
            if not self._recording:
                return
            try:
                with torch.no_grad():
                    for tap in taps:
                        gradient = gradients[tap.number] if tap.number < len(gradients) else None
                        if gradient is None:  # an unused sibling of a chunk or split
                            continue
                        tap.gradients.append(self.reduce(gradient))
            except Exception as error:
                self.failure = self.failure or error

        return read

    def watch_operation(self, node: Node, reduce: Callable[[Tensor], Summary]) -> None:
        """Measure the gradient that flows into an operation that is no module's output."""

        def read(gradients: tuple[Tensor | None, ...]) -> None:
            if not self._recording:
                return
            try:
                with torch.no_grad():
                    for gradient in gradients:
                        if gradient is not None:
                            self.op_gradients.setdefault(node, []).append(reduce(gradient))
            except Exception as error:
                self.failure = self.failure or error

        self._handles.append(node.register_prehook(read))


def graph_of(*tensors: Tensor) -> Graph:
    return Graph([get_gradient_edge(t).node for t in tensors if t.requires_grad])
