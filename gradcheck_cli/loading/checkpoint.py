"""Put the weights of a checkpoint into the model."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.tensor_file import read_tensor_file
from gradcheck_cli.settings import Settings

_NESTS = (
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
    "model_state",
    "generator",
)
_WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "_forward_module.")
_SHOWN = 5


def needs_model(path: Path, settings: Settings) -> GradcheckError:
    """E227: a file of weights says nothing of the network they belong to."""
    return GradcheckError(
        "E227",
        f"`{path.name}` holds weights, not a network",
        "a state_dict has names and numbers and no forward",
        f"name the class too: gradcheck scan {settings.target} --model package.module:Class (or file.py:Class)",
    )


def load_pickled(path: Path, shown: str) -> nn.Module:
    """The whole model of a pickle that the person trusts; raises E227 when it holds something else."""
    found = read_tensor_file(path, shown, trust_pickle=True)
    if isinstance(found, nn.Module):
        return found
    raise GradcheckError(
        "E227",
        f"`{shown}` holds a {type(found).__name__}, not a model",
        "--trust-pickle reads whole models only",
        f"name the class too: gradcheck scan {shown} --model package.module:Class",
    )


def load_weights(model: nn.Module, path: Path, context: Context) -> None:
    """Copy the checkpoint's tensors into the model; raises E228 and E229 when names or shapes differ."""
    shown = path.name
    found = read_tensor_file(path, shown, trust_pickle=context.settings.trust_pickle)
    state = _state_in(found, shown, context)
    own = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    matched = _renamed(state, own, context) or state
    missing = _missing(model, own, matched)
    unexpected = [name for name in matched if name not in own]
    if missing or unexpected:
        raise _names_differ(shown, state, own, missing, unexpected)
    _check_shapes(shown, matched, own)
    model.load_state_dict({name: matched[name] for name in own if name in matched}, strict=False)


def _state_in(found: Any, shown: str, context: Context) -> dict[str, Tensor]:
    """The mapping of names to tensors, looked for one level down as training scripts save it."""
    if isinstance(found, nn.Module):
        found = found.state_dict()
    if isinstance(found, Mapping) and not _is_state(found):
        nest = next((n for n in _NESTS if _is_state(found.get(n))), None)
        nest = nest or next((n for n, value in found.items() if isinstance(n, str) and _is_state(value)), None)
        if nest is not None:
            context.assume(f"the weights are the entry `{nest}` of {shown}")
            found = found[nest]
    if not _is_state(found):
        kind = (
            f"a dictionary of {', '.join(str(k) for k in list(found)[:8])}"
            if isinstance(found, Mapping)
            else f"a {type(found).__name__}"
        )
        raise GradcheckError(
            "E228", f"`{shown}` holds no state_dict", f"it holds {kind}", "save it with torch.save(model.state_dict(), path)"
        )
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


def _is_state(value: Any) -> bool:
    """Whether it maps names to tensors; entries that are none (versions, extra state) may stand beside them."""
    return (
        isinstance(value, Mapping)
        and any(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
        and not any(isinstance(v, Mapping) and _is_state(v) for v in value.values())
    )


def _renamed(state: Mapping[str, Tensor], own: Mapping[str, Tensor], context: Context) -> dict[str, Tensor] | None:
    """The state with a wrapper's prefix removed or added, if then all names fit; None when they fit already or never."""
    if set(state) == set(own):
        return None
    for prefix, rename in _renamings():
        renamed = {rename(name): value for name, value in state.items()}
        if set(renamed) == set(own) and len(renamed) == len(state):
            context.assume(
                f"the prefix `{prefix[1:]}` was {'removed from' if prefix[0] == '-' else 'added to'} the checkpoint's names"
            )
            return renamed
    return None


def _renamings() -> list[tuple[str, Callable[[str], str]]]:
    """What wrappers do to names, undone (-) and done (+); compiled and distributed modules put their prefix inside too."""
    found: list[tuple[str, Callable[[str], str]]] = [(f"-{p}", functools.partial(_without, p)) for p in _WRAPPERS]
    found.append(("-_orig_mod.", lambda name: name.replace("_orig_mod.", "")))
    found.append(("-module.", lambda name: name.replace("module.", "")))
    found.append(("-module._orig_mod.", lambda name: name.replace("module.", "").replace("_orig_mod.", "")))
    return found + [(f"+{p}", functools.partial(operator.add, p)) for p in _WRAPPERS]


def _without(prefix: str, name: str) -> str:
    return name.removeprefix(prefix)


def _missing(model: nn.Module, own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Names the file lacks, without counters of old checkpoints and second names of tied weights."""
    given = {id(p) for name, p in model.named_parameters(remove_duplicate=False) if name in state}
    tied = {name for name, p in model.named_parameters(remove_duplicate=False) if id(p) in given}
    return [n for n in own if n not in state and n not in tied and not n.endswith("num_batches_tracked")]


def _names_differ(
    shown: str, state: Mapping[str, Tensor], own: Mapping[str, Tensor], missing: list[str], unexpected: list[str]
) -> GradcheckError:
    best, count = "", sum(name in own for name in state)
    for prefix, rename in _renamings():
        fitting = sum(rename(name) in own for name in state)
        if fitting > count:
            best, count = prefix, fitting
    parts = []
    if missing:
        parts.append(f"{len(missing)} missing: {_listed(missing)}")
    if unexpected:
        parts.append(f"{len(unexpected)} unexpected: {_listed(unexpected)}")
    verb = "without" if best.startswith("-") else "with"
    advice = (
        f"{verb} the prefix `{best[1:]}` {count} of {len(state)} fit: check --model"
        if best
        else "check that --model is the class these weights belong to"
    )
    return GradcheckError("E228", f"the names in `{shown}` are not the model's", "; ".join(parts), advice)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _check_shapes(shown: str, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    lazy = [n for n, value in own.items() if isinstance(value, nn.UninitializedParameter)]
    different = [n for n, value in state.items() if n not in lazy and value.shape != own[n].shape]
    if different:
        table = "; ".join(f"{n}: file {list(state[n].shape)}, model {list(own[n].shape)}" for n in different[:_SHOWN])
        more = f"; and {len(different) - _SHOWN} more" if len(different) > _SHOWN else ""
        raise GradcheckError(
            "E229",
            f"{len(different)} tensors in `{shown}` have another shape than in the model",
            table + more,
            "build the model with the sizes it was saved with: --init key=value",
        )
