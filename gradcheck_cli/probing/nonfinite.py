"""Find where the first NaN or infinity is made. Runs only when the plain pass saw one."""

from __future__ import annotations

import math
import os
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gradcheck_cli.loading.base import Outcome
from gradcheck_cli.probing.calls import Ownership
from gradcheck_cli.probing.capture import Capture, graph_of
from gradcheck_cli.probing.graph import Node
from gradcheck_cli.probing.kinds import node_name
from gradcheck_cli.probing.tensors import tensors_in
from gradcheck_cli.records import NonFinite, Profile, SourceSite

_LEAD_UP = 5  # layers shown that ran just before
_OWN = ("/torch/", "/gradcheck_cli/", "<frozen", "<string>")


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
        self.found: tuple[str, str, Any, SourceSite | None] | None = None
        self.recent: deque[tuple[str, float]] = deque(maxlen=_LEAD_UP)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.found is None:
            with torch._C.DisableTorchFunction(), torch.no_grad():
                self._look(func, args, kwargs, result)
        return result

    def _look(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        outputs = [t for t in tensors_in(result) if _readable(t)]
        if not outputs:
            return
        call = self.capture.frame()
        layer = call.name if call else ""
        name = getattr(func, "__name__", str(func)).strip("_")
        if all(_finite(t) for t in outputs):
            if call is not None and name not in ("get", "set"):
                self.recent.append((f"{layer}: {name}", max((t.abs().max().item() for t in outputs if t.numel()), default=0.0)))
            return
        if any(_readable(t) and not _finite(t) for t in tensors_in([args, kwargs])) or not any(
            True for _ in tensors_in([args, kwargs])
        ):
            return  # a victim, or a constant such as a mask of -inf
        if name in ("masked_fill", "masked_fill_", "full_like", "where", "triu", "tril", "new_full", "fill"):
            return  # minus infinity put there on purpose
        kind = "nan" if any(bool(torch.isnan(t).any()) for t in outputs) else "inf"
        self.found = (layer, name, kind, _user_site())


def find_backward_origin(model: nn.Module, run: Callable[[], Outcome], sites: Mapping[str, SourceSite]) -> NonFinite | None:
    """Run forward and backward again and return the first node, loss side first, that makes a non-finite gradient."""
    found: list[tuple[Node, str]] = []
    recent: deque[tuple[str, float]] = deque(maxlen=_LEAD_UP)
    handles = []
    with Capture(model) as capture, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.set_detect_anomaly(True, check_nan=False):  # each node then keeps the stack that made it
            outcome = run()
        graph = graph_of(outcome.loss)
        ownership = Ownership(capture.calls)

        def look(node: Node) -> Callable[[Any, Any], None]:
            def after(inputs: Any, outputs: Any) -> None:
                if found:
                    return
                made, given = _all_finite(inputs), _all_finite(outputs)
                if not made and given:
                    bad = next(t for t in inputs if t is not None and not _finite(t))
                    found.append((node, "nan" if bool(torch.isnan(bad).any()) else "inf"))
                elif made:
                    largest = max(
                        (float(t.abs().max()) for t in inputs if t is not None and t.numel() and _readable(t)), default=0.0
                    )
                    recent.append((node_name(node), largest))

            return after

        try:
            for node in graph.order:
                if node.next_functions:
                    handles.append(node.register_hook(look(node)))
            outcome.loss.backward()  # type: ignore[no-untyped-call]
        finally:
            for handle in handles:
                handle.remove()
        if not found:
            return None
        node, kind = found[0]
        owner = ownership.owner(node)
        layer = owner.name if owner else ""
        site = _site_of("".join(node.metadata.get("traceback_", []))) or sites.get(layer)
        result = NonFinite(
            phase="backward",
            layer=layer,
            operation=node_name(node),
            kind="nan" if kind == "nan" else "inf",
            site=site,
            lead_up=tuple(recent),
        )
        del outcome
        found.clear()
        graph.release()
    return result


def _readable(t: Tensor) -> bool:
    return (t.is_floating_point() or t.is_complex()) and t.layout is torch.strided and not t.is_nested and not t.is_meta


def _finite(t: Tensor) -> bool:
    return not _readable(t) or t.numel() == 0 or math.isfinite(float(t.detach().abs().double().amax()))


def _all_finite(gradients: Any) -> bool:
    return all(t is None or _finite(t) for t in gradients)


def _user_site() -> SourceSite | None:
    for frame in reversed(traceback.extract_stack()):
        if not any(part in frame.filename.replace("\\", "/") for part in _OWN):
            return SourceSite(file=Path(os.path.relpath(frame.filename)).as_posix(), line=frame.lineno or 1)
    return None


def _site_of(stack: str) -> SourceSite | None:
    """The innermost frame of the user's own in a formatted stack."""
    for line in reversed(stack.splitlines()):
        parts = line.strip().split('"')
        if line.strip().startswith('File "') and len(parts) > 2 and not any(p in parts[1].replace("\\", "/") for p in _OWN):
            number = parts[2].split("line ")[-1].split(",")[0]
            if number.isdigit():
                return SourceSite(file=parts[1], line=int(number))
    return None
