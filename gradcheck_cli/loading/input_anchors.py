"""Find the layers that receive the model's inputs first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from gradcheck_cli.loading.input_specs import Spec, spec_of
from gradcheck_cli.loading.model_checks import unregistered_modules

_MOST_WIDTHS = 8  # the combinations of all inputs are tried
_RANKS = ((2, 3, 32, 32), (2, 16, 8), (2, 16), (2, 3, 8, 16, 16), (2,))
_TOKEN_NAMES = ("input_ids", "ids", "idx", "tokens", "token_ids", "src", "tgt", "words")
_MASK_NAMES = ("mask", "attention_mask", "padding_mask", "key_padding_mask")
_STEP_NAMES = ("t", "timestep", "timesteps", "time", "step")
_TOLD_BY_NAME = (*_MASK_NAMES, *_STEP_NAMES)  # whatever layer comes first: these are multiplied or looked up


def anchors(model: nn.Module, names: list[str]) -> list[dict[str, Spec]]:
    """Ways to shape the inputs `names`, the most trustworthy first; empty when no layer tells anything."""
    layers = {**dict(model.named_modules()), **unregistered_modules(model)}
    known = {name: spec for name, module in layers.items() if (spec := spec_of(module, name, model)) is not None}
    options: list[dict[str, Spec]] = []
    if len(names) == 1:
        first = _first_called(model, layers, names[0])
        ordered = [known[n] for n in first if n in known] + list(known.values()) + _from_parameters(model)
        options = [{names[0]: spec} for spec in dict.fromkeys(ordered)]
    else:
        traced = _traced(model, known)
        if traced is not None and all(name in traced for name in names):
            main = next((traced[name] for name in names if name not in _TOLD_BY_NAME), traced[names[0]])
            told = {name: _by_name(name, known, main) for name in names if name in _TOLD_BY_NAME}
            options.append({name: told.get(name, traced[name]) for name in names})
        options += [_by_names(names, known, base) for base in dict.fromkeys(known.values())]
    return options[:12]


class _Found(Exception):
    """Ends a trial run at the first layer that says what it takes."""


def _first_called(model: nn.Module, layers: dict[str, nn.Module], name: str) -> list[str]:
    """Names of the layers that are called first on inputs of several ranks and both dtypes."""
    called: list[str] = []
    modules = {id(module): n for n, module in layers.items()}

    def stop(module: nn.Module, _inputs: Any) -> None:
        if id(module) in modules and spec_of(module, "", model) is not None:
            called.append(modules[id(module)])
            raise _Found

    handle = register_module_forward_pre_hook(stop)
    try:
        for shape in _RANKS:
            for dtype in (torch.float32, torch.int64):
                try:
                    model(**{name: torch.ones(shape, dtype=dtype)})
                except _Found:
                    return called
                except Exception:  # a wrong rank or dtype: the next may do
                    continue
    finally:
        handle.remove()
    return called


def _from_parameters(model: nn.Module) -> list[Spec]:
    """Models that multiply by parameters of their own: either side of each matrix may be the input's."""
    sizes = [size for parameter in model.parameters() if parameter.dim() == 2 for size in parameter.shape]
    sizes += [parameter.shape[0] for parameter in model.parameters() if parameter.dim() == 1]
    shapes = [shape for size in dict.fromkeys(sizes) for shape in ((size,), (16, size))]
    return [Spec(kind="numbers", layer="", rows=32, shapes=tuple(shapes[:16]))] if shapes else []


def _traced(model: nn.Module, known: dict[str, Spec]) -> dict[str, Spec] | None:
    """Each input with the first layer downstream of it, by symbolic tracing; None for models that cannot be traced."""
    try:
        graph = torch.fx.symbolic_trace(model).graph
    except Exception:
        return None
    found: dict[str, Spec] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            spec, joined = _downstream(node, known)
            if spec is not None:
                found[str(node.target)] = _shared(spec, joined, model) if joined > 1 else spec
    return found


def _downstream(node: Any, known: dict[str, Spec]) -> tuple[Spec | None, int]:
    """The first known layer after a node, and how many tensors were concatenated on the way."""
    pending, seen, joined = [node], set(), 1
    while pending:
        current = pending.pop(0)
        if current in seen:
            continue
        seen.add(current)
        if current.op == "call_module" and str(current.target) in known:
            return known[str(current.target)], joined
        if current.op == "call_function" and getattr(current.target, "__name__", "") in ("cat", "concat", "concatenate"):
            joined = len(current.args[0]) if current.args and isinstance(current.args[0], (list, tuple)) else 1
        pending.extend(current.users)
    return None, joined


def _shared(spec: Spec, parts: int, model: nn.Module) -> Spec:
    """A part of the features, for inputs that are concatenated before the layer: an equal one, or the width of some layer."""
    shapes = tuple((*s[:-1], s[-1] // parts) for s in spec.shapes if s and s[-1] % parts == 0)
    whole = spec.shapes[0][-1] if spec.shapes and spec.shapes[0] else 0
    widths = {m.out_features for m in model.modules() if isinstance(m, nn.Linear) and m.out_features < whole}
    shapes += tuple((size,) for width in sorted(widths) for size in (whole - width, width))[:_MOST_WIDTHS]
    return Spec(
        kind=spec.kind, layer=spec.layer, rows=spec.rows, shapes=shapes or spec.shapes, batch_dim=spec.batch_dim, high=spec.high
    )


def _by_names(names: list[str], known: dict[str, Spec], base: Spec) -> dict[str, Spec]:
    """Inputs by what their names say; those that say nothing like the layer `base`."""
    return {name: _by_name(name, known, base) for name in names}


def _by_name(name: str, known: dict[str, Spec], base: Spec) -> Spec:
    embeddings = [s for s in known.values() if s.kind == "integers"]
    if name in _MASK_NAMES:
        length = base.shapes[0][:1] if base.kind == "integers" or len(base.shapes[0]) == 2 else ()
        return Spec(kind="booleans", layer="", rows=base.rows, shapes=(length,))
    if name in _STEP_NAMES:
        return Spec(
            kind="integers", layer="", rows=base.rows, high=embeddings[0].high if embeddings else 1000, shapes=((), (1,))
        )
    if name in _TOKEN_NAMES and embeddings:
        own = [s for s in embeddings if name.split("_")[0] in s.layer]
        return (own or embeddings)[0]
    own = [s for layer, s in known.items() if _same_word(name, layer)]
    return own[0] if own else base


def _same_word(name: str, layer: str) -> bool:
    words: Iterable[str] = layer.lower().replace(".", "_").split("_")
    return name.lower() in words or any(
        math.isclose(len(w), len(name), abs_tol=2) and w.startswith(name.lower()[:4]) for w in words
    )
