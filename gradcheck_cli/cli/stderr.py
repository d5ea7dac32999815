"""What a person reads on stderr beside the report."""

from __future__ import annotations

import sys

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.reporting.clean import clean, clean_lines


def error_text(error: GradcheckError, *, with_trace: bool) -> str:
    """Render an error: what, where, why and what to do, one line each."""
    lines = [f"error {error.id}: {clean(error.what)}"]
    if error.where:
        lines.append(f"  at    {clean(error.where)}")
    lines += [f"  why   {clean(error.why)}", f"  hint  {clean(error.do)}"]
    if with_trace and error.trace:
        lines += ["", *clean_lines(error.trace.rstrip())]
    return "\n".join(lines) + "\n"


def show_error(error: GradcheckError, *, with_trace: bool) -> None:
    sys.stderr.write(error_text(error, with_trace=with_trace))
