import re

import pytest

from gradcheck_cli.records import Limit, Rule
from gradcheck_cli.reporting.base import Look
from gradcheck_cli.reporting.rule_text import render_list, render_page

RULE = Rule(
    code="GC999",
    name="odd-thing",
    summary="Something is odd.",
    severity="warning",
    limits=(Limit(name="most", value=1e-6, unit="decades of something long", source="chosen by us, measured on samples"),),
)
PAGE = """It is odd.

What it measures
How odd
it is.

Why it matters
It does.

Limits and where they come from
`most` 1e-6: enough.

When it is wrong
Never.

What to do
Nothing.

References
None."""


def test_a_page_shows_the_text_and_the_limits_below_their_heading() -> None:
    assert render_page(RULE, PAGE, Look()) == (
        "GC999 odd-thing  warning\n\nIt is odd.\n\nWhat it measures\n  How odd it is.\n\nWhy it matters\n  It does.\n\n"
        "Limits and where they come from\n  `most` 1e-6: enough.\n\n"
        "  limit  value  unit                       source\n"
        "  most   1e-06  decades of something long  chosen by us, measured on samples\n\n"
        "When it is wrong\n  Never.\n\nWhat to do\n  Nothing.\n\nReferences\n  None.\n"
    )


@pytest.mark.parametrize("width", [60, 80])
def test_tables_fit_the_screen_and_lose_no_word(width: int) -> None:
    shown = render_page(RULE, PAGE, Look(width=width)) + render_list([RULE] * 3, Look(width=width))
    assert max(map(len, shown.splitlines())) <= width
    assert set(re.findall(r"\w+", RULE.limits[0].source)) <= set(re.findall(r"\w+", shown))


def test_a_list_is_one_line_a_rule_when_piped() -> None:
    assert render_list([RULE], Look()) == "GC999  warning  odd-thing  Something is odd.\n"
