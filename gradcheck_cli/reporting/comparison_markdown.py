"""A comparison as Markdown, for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck_cli.records import Comparison, ObjectiveComparison
from gradcheck_cli.reporting import comparison_words as words
from gradcheck_cli.reporting.markdown_text import code, prose


def markdown(comparison: Comparison, layers: str = "worst", *, below: bool = False) -> str:
    """Render one comparison; `layers` as in Look. `below` a report, which has named the target."""
    full = layers == "all"
    heading = "#### Since the earlier report" if below else f"### {code(words.targets(comparison))}"
    return "".join(
        f"{line}\n"
        for line in (
            f"{heading}: {comparison.verdict}",
            "",
            prose(f"{words.headline(comparison)}."),
            "",
            *(f"- {prose(line)}" for line in words.findings(comparison, full=full)),
            *(line for objective in comparison.objectives for line in _objective(objective, comparison, full=full)),
            *(f"- {prose(remark)}" for remark in comparison.remarks),
            f"- {prose(words.subject(comparison))}",
            *(line for objective in comparison.objectives for line in _table(objective, comparison, layers)),
        )
    )


def _objective(objective: ObjectiveComparison, comparison: Comparison, *, full: bool) -> Iterator[str]:
    yield f"- {prose(f'layers{words.under(objective, comparison)}: {words.tally(objective)}')}"
    for line in words.lone(objective, full=full):
        yield f"- {prose(line)}"
    for each in words.notable(objective.spines, full=full):
        yield f"- {prose(f'gradient: {words.spine(each)}')}"


def _table(objective: ObjectiveComparison, comparison: Comparison, layers: str) -> Iterator[str]:
    shown = words.chosen(objective.layers, layers)
    if not shown:
        return
    under = words.under(objective, comparison)
    yield ""
    yield prose(f"Decades from the gradient at the loss end{under}{words.few(shown, objective.layers)}:")
    yield ""
    yield "| layer | | old | new | change | |"
    yield "| --- | --- | ---: | ---: | ---: | --- |"
    for each in shown:
        shift, name = each.shift, code(each.layer or "(root)")
        numbers = f"{words.decades(shift.old)} | {words.decades(shift.new)} | {words.factor(shift)}"
        yield f"| {name} | {prose(words.kind(each))} | {numbers} | {shift.verdict} |"
