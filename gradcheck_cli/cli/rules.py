"""`gradcheck rules`: everything that is checked."""

from __future__ import annotations

import json

from gradcheck_cli.cli.flags import Color, Format, wants_json
from gradcheck_cli.cli.terminal import emit, screen
from gradcheck_cli.options import check


def rules(format: Format = "text", color: Color = "auto") -> None:
    """List every rule: code, severity, name and what it says."""
    from gradcheck_cli.records import to_dict
    from gradcheck_cli.rules import declared

    known = [file.rule for file in declared()]
    if wants_json(format):
        emit(json.dumps(to_dict(known), indent=2, allow_nan=False) + "\n")
    else:
        from gradcheck_cli.reporting.rule_text import render_list

        emit(render_list(known, screen(check("color", color, "--color"))))
