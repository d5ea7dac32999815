"""Find the model, class or factory that the person means."""

from __future__ import annotations

import difflib
import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.loss import _Loss

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.class_roots import functions_that_build, root_classes
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.signatures import signature_of

NAMES = ("model", "net", "get_model", "build_model", "create_model")
_LOSS_CLASS = re.compile(r"(loss|criterion)\Z", re.I)
_STEP = re.compile(r"\[(\d+)\]|\[['\"]([^'\"]+)['\"]\]|\.?([A-Za-z_]\w*)")


def find_model(context: Context) -> tuple[str, Any]:
    """The name and object (module, class or factory) that the target means; raises E113 to E116."""
    if context.target.attribute:
        return context.target.attribute, _looked_up(context, context.target.attribute)
    for name in NAMES:
        value = sole_module(context.space.get(name))
        if _can_build(value, context):
            return name, value
    instances = _root_instances(context.space)
    if len(instances) == 1:
        return next(iter(instances.items()))
    if instances:
        raise _several(context, {n: f"a {type(m).__name__}" for n, m in instances.items()})
    return _root_class(context)


def is_loss(value: object) -> bool:
    """Whether a module or module class computes a loss rather than a model's output."""
    kind = value if isinstance(value, type) else type(value)
    return issubclass(kind, _Loss) or bool(_LOSS_CLASS.search(kind.__name__))


def is_module_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def _looked_up(context: Context, attribute: str) -> Any:
    value: Any = context.space
    walked = ""
    for index, key, name in _STEP.findall(attribute):
        try:
            if name:
                value = value[name] if value is context.space else getattr(value, name)
            else:
                value = value[int(index)] if index else value[key]
        except (KeyError, AttributeError, IndexError, TypeError):
            raise _missing(context, value, walked, name, f"[{index or repr(key)}]") from None
        walked += f".{name}" if name and walked else name or f"[{index or repr(key)}]"
    value = sole_module(value)
    if isinstance(value, nn.Module) or is_module_class(value) or _is_factory(value):
        return value
    raise GradcheckError(
        "E114",
        f"`{attribute}` in `{context.label}` is neither a model nor something that builds one",
        f"it is of type {type(value).__name__}",
        f"name an nn.Module, its class or a function that returns it: {_suggestion(context)}",
    )


def _missing(context: Context, holder: Any, walked: str, name: str, item: str) -> GradcheckError:
    known = list(holder) if isinstance(holder, Mapping) else [n for n in dir(holder) if not n.startswith("_")]
    close = difflib.get_close_matches(name, [str(n) for n in known], n=3, cutoff=0.5) if name else []
    dot = "." if walked and name else ""
    models = [f"`{n}`" for n in _named_models(context)]
    return GradcheckError(
        "E113",
        f"`{context.label}` has no `{walked}{dot}{name or item}`",
        f"models, classes and factories in it: {', '.join(models)}" if models else "it holds no model, class or factory",
        f"did you mean {context.label}:{walked}{dot}{close[0]}?" if close else _suggestion(context),
    )


def _named_models(context: Context) -> list[str]:
    found = list(_root_instances(context.space))
    found += [n for n, v in context.space.items() if is_module_class(v) and context.defines(v) and n == v.__name__]
    return found + [n for n in NAMES if _is_factory(context.space.get(n)) and n not in found]


def _suggestion(context: Context) -> str:
    models = _named_models(context)
    return f"gradcheck scan {context.label}:{models[0]}" if models else "add `model = ...` to the file"


def sole_module(value: Any) -> Any:
    """The one module in a plain list, tuple or dict, else the value itself."""
    if type(value) in (list, tuple, dict):  # no subclass: some look things up when they are walked
        modules = [m for m in (value.values() if type(value) is dict else value) if isinstance(m, nn.Module)]
        if len(modules) == 1 and len(value) == 1:
            return modules[0]
    return value


def _modules_in(name: str, value: Any) -> list[tuple[str, nn.Module]]:
    """A module under its name, or those of a plain container as `models[0]`, `nets['a']`."""
    if isinstance(sole_module(value), nn.Module):
        return [(name, sole_module(value))]
    parts = enumerate(value) if isinstance(value, (list, tuple)) else value.items() if type(value) is dict else ()
    return [(f"{name}[{key!r}]", part) for key, part in parts if isinstance(part, nn.Module)]


def _is_factory(value: object) -> bool:
    return not isinstance(value, type) and (inspect.isroutine(value) or isinstance(value, functools.partial))


def _can_build(value: object, context: Context) -> bool:
    return isinstance(value, nn.Module) or _is_factory(value) or (is_module_class(value) and context.defines(value))


def _root_instances(space: Mapping[str, Any]) -> dict[str, nn.Module]:
    """Module instances that are no part of another one, no loss, and hold parameters if any of them does."""
    named: dict[str, nn.Module] = {}
    for name, value in space.items():
        for shown, module in _modules_in(name, value):
            seen = any(module is other for other in named.values())
            if not seen and not name.startswith("_") and not is_loss(module):
                named[shown] = module
    inner = {id(part) for module in named.values() for part in module.modules() if part is not module}
    roots = {n: m for n, m in named.items() if id(m) not in inner}
    weighty = {n: m for n, m in roots.items() if next(m.parameters(), None) is not None}
    return weighty or roots


def _root_class(context: Context) -> tuple[str, type[nn.Module]]:
    own = {n: v for n, v in context.space.items() if is_module_class(v) and context.defines(v) and n == v.__name__}
    candidates = [n for n, v in own.items() if not is_loss(v)]
    roots = root_classes(context.source, candidates)
    if len(roots) == 1:
        return roots[0], own[roots[0]]
    if roots:
        raise _several(context, {**_factories_of(context, roots), **dict.fromkeys(roots, "class")})
    raise _nothing(context)


def _factories_of(context: Context, classes: Sequence[str]) -> dict[str, str]:
    """Functions of the file that take no argument and name one of the classes: `def resnet20(): return ResNet(...)`."""
    own = {n: v for n, v in context.space.items() if inspect.isfunction(v) and context.defines(v)}
    named = {n: v for n, v in own.items() if set(v.__code__.co_names) & set(classes)}
    return {n: "function" for n, v in named.items() if not signature_of(v).required}


def _several(context: Context, candidates: Mapping[str, str]) -> GradcheckError:
    listed = ", ".join(f"`{name}` ({kind})" for name, kind in candidates.items())
    choices = " or ".join(f"{context.label}:{name}" for name in list(candidates)[:4])
    return GradcheckError(
        "E116", f"`{context.label}` holds {len(candidates)} models", listed, f"name one: gradcheck scan {choices}"
    )


def _nothing(context: Context) -> GradcheckError:
    classes = [n for n, v in context.space.items() if isinstance(v, type) and context.defines(v)]
    functions = [n for n, v in context.space.items() if inspect.isfunction(v) and context.defines(v) and _may_build(v)]
    imported = [n for n, v in context.space.items() if is_module_class(v) and not context.defines(v)]
    seen = f"classes in it: {', '.join(classes)}" if classes else "it defines no class"
    if imported:
        seen += f"; imported ones do not count: {', '.join(imported[:5])}"
    inside = functions_that_build(context.source)
    if functions:
        advice = f"if a function builds it, name that: gradcheck scan {context.label}:{functions[0]}"
    elif inside:
        seen += f"; models that `{inside[0]}()` builds are not seen from outside"
        advice = f"let `{inside[0]}()` take it from a function `build_model()` that returns it"
    elif imported:
        advice = f"name one: gradcheck scan {context.label}:{imported[0]}"
    else:
        advice = "add `model = ...` or a function `build_model()` to the file"
    return GradcheckError("E115", f"`{context.label}` holds no nn.Module", seen, advice)


def _may_build(function: Callable[..., Any]) -> bool:
    """Whether the name or the annotation of a function suggests that it returns a model."""
    returns = inspect.signature(function).return_annotation
    name = getattr(function, "__name__", "")
    return is_module_class(returns) or bool(re.search(r"model|net|make|build|create", name, re.I))
