"""What to do about a finding when nothing was tried: the suggestions, in the order to try them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from gradcheck_cli.records import Prescription
from gradcheck_cli.reporting.page import Page, said

_SUGGESTED = 3  # suggestions written without -v


def add_suggestions(page: Page, prescriptions: Sequence[Prescription]) -> None:
    """Write the first suggestion in full and two more in short; with -v all, in full."""
    page.add(Text("suggestions, in the order to try them", style="dim"), label=Text("  "), hang=2)
    shown = prescriptions if page.look.verbose else prescriptions[:_SUGGESTED]
    for number, each in enumerate(shown, start=1):
        status = f"  [{each.status}{': ' + each.reason if each.reason else ''}]"
        add_advice(page, each, label=f"{number}. ", behind=status, short=number > 1 and not page.look.verbose)
    if len(shown) < len(prescriptions):
        page.add(Text(f"{len(prescriptions) - len(shown)} more with -v", style="dim"), label=Text("     "), hang=5)


def add_advice(page: Page, each: Prescription, *, label: str, behind: str = "", short: bool = False) -> None:
    """Write a suggestion's title and action; unless `short`, why it works and how to write it; with -v what it rests on."""
    page.add(Text.assemble(said(each.title, "bold"), said(behind, "dim")), label=Text(f"  {label}"), hang=2 + len(label))
    page.add(said(each.action), label=Text("     "), hang=5)
    if not short:
        page.add(said(each.why), label=Text("     "), hang=5)
        _add_snippet(page, each.snippet)
    if page.look.verbose:
        rest = f"cost: {each.cost} · {each.applicability} · {'; '.join(each.sources)}"
        page.add(said(rest, "dim"), label=Text("     "), hang=5)


def _add_snippet(page: Page, snippet: str) -> None:
    for line in snippet.rstrip().expandtabs(4).splitlines():
        made = said(line)
        made.stylize("green")
        page.add(made, label=Text("     │ ", style="dim"), hang=7)
