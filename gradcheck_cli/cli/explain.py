"""`gradcheck explain CODE`: the page of one rule."""

from __future__ import annotations

from typing import Annotated

import typer

from gradcheck_cli.cli import completion
from gradcheck_cli.cli.flags import Color, Format, wants_json
from gradcheck_cli.cli.terminal import emit, screen
from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.options import check, closest


def explain(
    rule: Annotated[
        str, typer.Argument(metavar="RULE", help="A code such as GC101, or a rule's name.", autocompletion=completion.rules)
    ],
    format: Format = "text",
    color: Color = "auto",
) -> None:
    """Say what a rule measures, why it matters, where its limits come from and what to do."""
    from gradcheck_cli.rules import declared

    files = {file.rule.code: file for file in declared()}
    names = {file.rule.name: code for code, file in files.items()}
    file = files.get(names.get(rule.lower(), rule.upper()))
    if file is None:
        near = closest(rule.upper(), files) or closest(rule.lower(), names)
        raise GradcheckError(
            "E678",
            f"no rule is called `{rule}`",
            "it is neither a code nor a name of a rule",
            f"did you mean `{near}`?" if near else "see `gradcheck rules` for all of them",
        )
    if wants_json(format):
        from gradcheck_cli.reporting.rule_page import as_json

        emit(as_json(file.rule, file.page))
    else:
        from gradcheck_cli.reporting.rule_text import render_page

        emit(render_page(file.rule, file.page, screen(check("color", color, "--color"))))
