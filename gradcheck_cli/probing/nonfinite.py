"""Find where the first NaN or infinity is made. Runs only when the plain pass saw one."""

from __future__ import annotations

import math
import re
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gradcheck_cli.loading.base import Outcome
from gradcheck_cli.loading.frames import is_user_file, shown_from, shown_path
from gradcheck_cli.probing.calls import Ownership
from gradcheck_cli.probing.capture import Capture, graph_of
from gradcheck_cli.probing.graph import Node
from gradcheck_cli.probing.kinds import node_name
from gradcheck_cli.probing.tensors import tensors_in
from gradcheck_cli.records import NonFinite, Profile, SourceSite

_LEAD_UP = 5  # layers shown that ran just before
_ON_PURPOSE = ("masked_fill", "full_like", "where", "triu", "tril", "new_full", "fill")  # minus infinity is put there
_Kind = Literal["nan", "inf"]


def find_origins(
    profile: Profile, model: nn.Module, run: Callable[[], Outcome], sites: Mapping[str, SourceSite]
) -> tuple[NonFinite, ...]:
    """Look for the origin of non-finite values, only if the profile has any; a second and third run of the user's model."""
    finite_loss = math.isfinite(profile.objective.value)
    gradients = [x.gradient for x in profile.layers] + [p.gradient for p in profile.parameters]
    found = []
    if not finite_loss or any(x.output is not None and x.output.nonfinite for x in profile.layers):
        found.append(find_forward_origin(model, run, sites))
    if finite_loss and any(g is not None and g.nonfinite for g in gradients):
        for parameter in model.parameters():
            parameter.grad = None
        found.append(find_backward_origin(model, run, sites))
    return tuple(origin for origin in found if origin is not None)


def find_forward_origin(model: nn.Module, run: Callable[[], Outcome], sites: Mapping[str, SourceSite]) -> NonFinite | None:
    """Run the forward pass again and return the first operation with finite inputs and a non-finite output."""
    with Capture(model) as capture, _Watcher(capture) as watcher:
        run()
        found = watcher.found
    if found is None:
        return None
    layer, operation, kind, site = found
    return NonFinite(
        phase="forward",
        layer=layer,
        operation=operation,
        kind=kind,
        site=site or sites.get(layer),
        lead_up=tuple(watcher.recent),
    )


class _Watcher(TorchFunctionMode):
    """Test every torch call of the forward pass; remembers the first offender and the abs-max of what ran before it."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self.capture = capture
        self.found: tuple[str, str, _Kind, SourceSite | None] | None = None
        self.recent: deque[tuple[str, float]] = deque(maxlen=_LEAD_UP)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", str(func))
        if self.found is not None:
            return func(*args, **(kwargs or {}))
        in_place = name.startswith("__i") or (name.endswith("_") and not name.endswith("__"))
        given = self._finite(args, kwargs) if in_place else None  # afterwards its first argument is its result
        result = func(*args, **(kwargs or {}))
        with torch._C.DisableTorchFunction(), torch.no_grad():
            self._look(name.strip("_"), args, kwargs, given, result)
        return result

    def _finite(self, args: Any, kwargs: Any) -> bool:
        with torch._C.DisableTorchFunction(), torch.no_grad():
            return all(_finite(t) for t in tensors_in([args, kwargs]))

    def _look(self, name: str, args: Any, kwargs: Any, given: bool | None, result: Any) -> None:
        outputs = [t for t in tensors_in(result) if _readable(t)]
        bad = [t for t in outputs if not _finite(t)]
        call = self.capture.frame()
        layer = call.name if call else ""
        if not bad:
            if outputs and call is not None and name not in ("get", "set"):
                self.recent.append((f"{layer}: {name}", _largest(outputs)))
            return
        constant = not any(True for _ in tensors_in([args, kwargs]))  # such as a mask of minus infinity
        victim = not (self._finite(args, kwargs) if given is None else given)
        if not constant and not victim and name not in _ON_PURPOSE:
            self.found = (layer, name, _kind(bad), _user_site())


def find_backward_origin(model: nn.Module, run: Callable[[], Outcome], sites: Mapping[str, SourceSite]) -> NonFinite | None:
    """Run forward and backward again and return the first node, loss side first, that makes a non-finite gradient."""
    with Capture(model) as capture, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.set_detect_anomaly(True, check_nan=False):  # each node then keeps the stack that made it
            loss = run().loss
        graph, ownership, follower = graph_of(loss), Ownership(capture.calls), _Follower()
        handles = [node.register_hook(follower.after(node)) for node in graph.order if node.next_functions]
        try:
            loss.backward()  # type: ignore[no-untyped-call]
        finally:
            for handle in handles:
                handle.remove()
        del loss
        origin = follower.origin(ownership, sites)
        follower.found = None
        graph.release()
    return origin


class _Follower:
    """Test every gradient of a backward pass; remembers the first offender and the abs-max of what was passed on before it."""

    def __init__(self) -> None:
        self.found: tuple[Node, _Kind] | None = None
        self.recent: deque[tuple[str, float]] = deque(maxlen=_LEAD_UP)

    def after(self, node: Node) -> Callable[[Any, Any], None]:
        def look(passed_on: Any, received: Any) -> None:
            if self.found is not None:
                return
            gradients = [t for t in passed_on if t is not None]
            bad = [t for t in gradients if not _finite(t)]
            if not bad:
                self.recent.append((node_name(node), _largest(gradients)))
            elif all(t is None or _finite(t) for t in received):
                self.found = node, _kind(bad)

        return look

    def origin(self, ownership: Ownership, sites: Mapping[str, SourceSite]) -> NonFinite | None:
        if self.found is None:
            return None
        node, kind = self.found
        owner = ownership.owner(node)
        layer = owner.name if owner else ""
        return NonFinite(
            phase="backward",
            layer=layer,
            operation=node_name(node),
            kind=kind,
            site=_site_of("".join(node.metadata.get("traceback_", []))) or sites.get(layer),
            lead_up=tuple(self.recent),
        )


def _readable(t: Tensor) -> bool:
    return (t.is_floating_point() or t.is_complex()) and t.layout is torch.strided and not t.is_nested and not t.is_meta


def _finite(t: Tensor) -> bool:
    return not _readable(t) or t.numel() == 0 or math.isfinite(float(t.detach().abs().double().amax()))


def _kind(tensors: list[Tensor]) -> _Kind:
    return "nan" if any(bool(torch.isnan(t).any()) for t in tensors) else "inf"


def _largest(tensors: list[Tensor]) -> float:
    return max((float(t.abs().max()) for t in tensors if t.numel() and _readable(t)), default=0.0)


def _user_site() -> SourceSite | None:
    """The innermost line of the user's own that runs now."""
    for frame, line in traceback.walk_stack(None):
        if is_user_file(frame.f_code.co_filename):
            return SourceSite(file=shown_path(frame.f_code.co_filename, shown_from()), line=line)
    return None


def _site_of(stack: str) -> SourceSite | None:
    """The innermost line of the user's own in a formatted stack."""
    for file, line in reversed(re.findall(r'^\s*File "(.+)", line (\d+)', stack, flags=re.MULTILINE)):
        if is_user_file(file):
            return SourceSite(file=shown_path(file, shown_from()), line=int(line))
    return None
