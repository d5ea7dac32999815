"""Turn the fields of the settings into command-line flags."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection
from typing import Annotated, Any, TypeVar

import typer

from gradcheck_cli.cli.completion import completion
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.options import Field, fields

_PAGE_FORMATS = ("text", "json")  # of rules and their pages
_Command = TypeVar("_Command", bound=Callable[..., Any])

Format = Annotated[
    str,
    typer.Option(
        "--format",
        "--output-format",
        metavar="text|json",
        help="Form of the output.",
        autocompletion=lambda incomplete: [word for word in _PAGE_FORMATS if word.startswith(incomplete)],
    ),
]
Color = Annotated[str, typer.Option("--color", metavar="auto|always|never", help="Colours.")]


def wants_json(form: str) -> bool:
    """Say which form a page is wanted in. Raises E675 for one that pages do not have."""
    if form not in _PAGE_FORMATS:
        accepted = " or ".join(map(repr, _PAGE_FORMATS))
        raise GradcheckError("E675", f"--format cannot be {form!r}", f"it takes {accepted}", f"give {accepted}")
    return form == "json"


def with_options(command: _Command, without: Collection[str] = ()) -> _Command:
    """Give a command every option but those named as a flag in place of its `**flags`."""
    assert fields().keys() >= set(without), "a misspelt name would leave its option in"
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
    parameters = [*own, *(_flag(field) for field in fields().values() if field.name not in without)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _flag(field: Field) -> inspect.Parameter:
    """Make a parameter whose default is None: only what was typed counts as given, the rest may come from elsewhere."""
    names = (f"--{field.key}", *field.option.short)
    if field.hint is bool:
        kind: Any = bool
    else:
        kind = list[str] if _several(field) else str  # checked later, with the messages of the other sources
    metavar = None if kind is bool else _metavar(field)
    option = typer.Option(*names, help=_help(field), metavar=metavar, autocompletion=completion(field))
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _several(field: Field) -> bool:
    return field.option.repeat or typing.get_origin(field.hint) is tuple


def _metavar(field: Field) -> str:
    if field.option.metavar:
        return field.option.metavar
    if typing.get_origin(field.hint) is typing.Literal:
        return "|".join(typing.get_args(field.hint))
    if _several(field):
        return "CODES"
    return "NUMBER" if field.hint in (int, float) else "NAME"


def _help(field: Field) -> str:
    default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
    if default is None or default is False or default in ("", {}):
        return field.option.help
    return (
        f"{field.option.help} [default: {default:g}]"
        if isinstance(default, float)
        else (f"{field.option.help} [default: {default}]")
    )
