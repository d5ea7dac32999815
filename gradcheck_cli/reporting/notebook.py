"""The text report with its colours, as HTML for a notebook cell."""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text

from gradcheck_cli.records import Report, Scan
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.text import render

_WIDTH = 120  # columns
_FORM = '<pre style="white-space:pre;overflow-x:auto;line-height:1.25;font-family:monospace"><code>{code}</code></pre>\n'


def page(report: Report) -> str:
    """Return a `<pre>` element; every character of the report is escaped."""
    shown = render((Scan(target=report.target, report=report),), Look(width=_WIDTH, color=True, hints=False))
    console = Console(record=True, file=io.StringIO(), width=_WIDTH + 1, _environ={})
    console.print(Text.from_ansi(shown), soft_wrap=True)
    return console.export_html(inline_styles=True, code_format=_FORM)
