"""Turn a class or factory into a model."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from torch import nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading import import_errors
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.find_model import sole_module
from gradcheck_cli.loading.frames import defined_at

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def construct(name: str, found: Any, context: Context) -> nn.Module:
    """The model itself; calls a class or factory with --init and what the file offers; raises E117 to E121."""
    if isinstance(found, nn.Module):
        if context.settings.init:
            raise GradcheckError(
                "E117",
                f"`{name}` is already built, so --init has nothing to do",
                "--init is for classes and factories",
                "leave --init out, or name the class",
            )
        return found
    arguments = _arguments(name, found, context)
    try:
        built = found(**arguments)
    except (KeyboardInterrupt, GradcheckError):
        raise
    except BaseException as exc:
        call = f"`{name}({', '.join(f'{k}=...' for k in arguments)})`"
        raise import_errors.translate_import(exc, context.target, context.base, f"{call} raised") from exc
    model = sole_module(built)
    if isinstance(model, nn.Module):
        return model
    kind = "None" if built is None else f"a {type(built).__name__}"
    if isinstance(built, (tuple, list)):
        kind += f" of {', '.join(type(part).__name__ for part in built)}"
    raise GradcheckError(
        "E121",
        f"`{name}()` returned {kind}, not a model",
        "a factory has to return one nn.Module",
        f"return the model from `{name}`, or name another: gradcheck scan {context.label}:NAME",
        where=defined_at(found, context.base),
    )


def _arguments(name: str, build: Callable[..., Any], context: Context) -> dict[str, Any]:
    """Keyword arguments: --init first, then what the file itself offers for parameters that have no default."""
    given = {key: _literal(value) for key, value in context.settings.init.items()}
    try:
        parameters = inspect.signature(build).parameters
    except (TypeError, ValueError):
        return given
    _check_names(name, given, parameters)
    chosen = dict(given)
    missing = []
    for key, parameter in parameters.items():
        if key in given or parameter.default is not parameter.empty or parameter.kind in _VARIADIC:
            continue
        if (offer := _offered(key, build, context)) is None:
            missing.append(key)
            continue
        chosen[key], source = offer
        context.assume(f"`{name}` was built with `{key}` = {source}")
    if missing:
        flags = " ".join(f"--init {key}=VALUE" for key in missing)
        raise GradcheckError(
            "E117",
            f"`{name}` needs {_counted(missing)}: {', '.join(missing)}",
            "they have no default and the file holds no variable of that name",
            f"give them: {flags}; or add a function `build_model()` that returns `{name}(...)`",
            where=defined_at(build, context.base),
        )
    return chosen


def _counted(names: list[str]) -> str:
    return "1 argument" if len(names) == 1 else f"{len(names)} arguments"


def _literal(value: Any) -> Any:
    """A Python literal where the text is one (`--init depth=3`), else the text itself."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(value.lower(), value)


def _check_names(name: str, given: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]) -> None:
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for key in given:
        if key not in parameters:
            close = difflib.get_close_matches(key, list(parameters), n=1)
            raise GradcheckError(
                "E117",
                f"`{name}` has no parameter `{key}`",
                f"it takes {', '.join(parameters) or 'nothing'}",
                f"did you mean --init {close[0]}=...?" if close else "correct --init",
            )


def _offered(key: str, build: Callable[..., Any], context: Context) -> tuple[Any, str] | None:
    """A variable of the parameter's name in the file, or a dataclass of the annotated type built with its defaults."""
    for name in (key, key.upper()):
        value = context.space.get(name)
        if value is not None and not callable(value) and not inspect.ismodule(value):
            return value, f"`{name}` of the file"
    try:
        hints = get_type_hints(build.__init__ if isinstance(build, type) else build)  # type: ignore[misc]
    except Exception:  # an annotation that cannot be evaluated says nothing
        return None
    kind = hints.get(key)
    if not isinstance(kind, type) or not (dataclasses.is_dataclass(kind) or context.defines(kind)):
        return None
    for name, value in context.space.items():
        if type(value) is kind:
            return value, f"`{name}` of the file"
    required = [p for p in inspect.signature(kind).parameters.values() if p.default is p.empty and p.kind not in _VARIADIC]
    return None if required else (kind(), f"{kind.__name__}() with its defaults")
