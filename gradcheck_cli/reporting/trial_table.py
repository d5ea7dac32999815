"""The measured effects of trials below each other: a table, or a line for each number where the page is narrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from gradcheck_cli.records import Outcome, Trial
from gradcheck_cli.reporting import measured
from gradcheck_cli.reporting.numbers import plural
from gradcheck_cli.reporting.page import Page, said

HEAD = "tried on a copy"
_STYLES: dict[Outcome, str] = {
    "cured": "bold green",
    "improved": "yellow",
    "no effect": "",
    "worse": "red",
    "not applied": "dim",
}
_LEAST_TITLE = 24  # columns; where less is left for titles, each number gets a line of its own
_NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Usual:
    """What most trials of a finding have in common and is said once. None: there is no such thing."""

    label: str | None  # of the measured effect, with its unit
    limit: str | None
    training: tuple[str, int, int] | None  # optimizer, steps, seeds


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    name: str  # what stands before the number where it has its own line
    cells: list[str]

    @property
    def least(self) -> int:
        return max(map(len, [*self.cells, *self.head.split()]))

    @property
    def full(self) -> int:
        return max(self.least, len(self.head))


def usual(trials: Sequence[Trial]) -> Usual:
    """Find what is common to all effects, and to most training runs."""
    effects = [t.effect for t in trials if t.effect]
    labels, limits = {_label(t) for t in trials if t.effect}, {measured.limit(e) for e in effects}
    trained = Counter((t.training.optimizer, t.training.steps, len(t.training.edited.end)) for t in trials if t.training)
    same = len(labels) == 1
    return Usual(
        label=labels.pop() if same else None,
        limit=(limits.pop() or None) if same and len(limits) == 1 else None,
        training=trained.most_common(1)[0][0] if trained else None,
    )


def add_table(page: Page, trials: Sequence[Trial], hang: int) -> None:
    """Write outcome, title and numbers of each trial; titles start in column `hang`. Nothing is cut off."""
    common = usual(trials)
    columns = _columns(trials, common)
    longest = max(said(t.title).cell_len for t in trials)
    room = page.width - hang - 2 - 2 * len(columns)
    widths = _widths(columns, room - longest)
    first = min(longest, room - sum(widths))
    if first < min(_LEAST_TITLE, longest):
        _add_stacked(page, trials, columns, hang)
        return
    first = max(first, len(HEAD) - hang + 2)
    heads = [Text(HEAD), *(said(column.head) for column in columns)]
    for head in heads:
        head.stylize("dim")
    page.row(heads, [hang - 2 + first, *widths], right=frozenset())
    for number, trial in enumerate(trials):
        row = [_word(trial), _title(trial), *(said(column.cells[number]) for column in columns)]
        page.row(row, [hang - 4, first, *widths], right=frozenset())
        _add_notes(page, _notes(trial, common), hang)


def _add_stacked(page: Page, trials: Sequence[Trial], columns: Sequence[_Column], hang: int) -> None:
    told = [column.head for column in columns if column.head != column.name]
    page.add(said(", ".join([HEAD, *told]), "dim"), label=Text("  "), hang=2)
    for number, trial in enumerate(trials):
        page.add(_title(trial), label=Text.assemble("  ", _word(trial)), hang=hang)
        for column in columns:
            if column.cells[number] != _NOTHING:
                text = Text.assemble(said(f"{column.name}  ", "dim"), said(" ".join(column.cells[number].split())))
                page.add(text, label=Text(" " * hang), hang=hang)
        _add_notes(page, _notes(trial, usual(trials)), hang)


def _widths(columns: Sequence[_Column], room: float) -> list[int]:
    """Give each head one line; fold heads, from the left, as far as there is no room for that."""
    over = max(sum(column.full for column in columns) - room, 0)
    widths = []
    for column in columns:
        cut = min(int(over), column.full - column.least)
        widths.append(column.full - cut)
        over -= cut
    return widths


def _columns(trials: Sequence[Trial], common: Usual) -> list[_Column]:
    """Make a column for the effect and one for the training, as far as any trial has them."""
    made = []
    if any(t.effect for t in trials):
        effects = measured.aligned([measured.effect(t.effect) for t in trials], _NOTHING)
        if common.label is None:
            named = zip(trials, effects, strict=True)
            effects = [f"{_label(t)} {text.strip()}" if t.effect else text for t, text in named]
        made.append(_Column(common.label or "measured", common.label or "measured", effects))
    if common.training:
        _, steps, seeds = common.training
        losses = measured.aligned([measured.loss(t.training) for t in trials], "not trained")
        made.append(_Column(f"loss after {steps} steps ({plural(seeds, 'seed')})", "loss", losses))
    return made


def _label(trial: Trial) -> str:
    found = trial.effect
    if found is None:
        return ""
    return found.label if found.unit in ("", "share") else f"{found.label} in {found.unit}"


def _word(trial: Trial) -> Text:
    return Text(trial.outcome, style=_STYLES[trial.outcome])


def _title(trial: Trial) -> Text:
    return said(trial.title, "bold" if trial.outcome == "cured" else "")


def _notes(trial: Trial, common: Usual) -> list[str]:
    """Say what else came of a trial, and what was done otherwise than in the others."""
    notes = []
    if trial.new_findings:
        notes.append(f"raises {', '.join(trial.new_findings)}")
    if trial.also_cures:
        notes.append(f"also cures {', '.join(trial.also_cures)}")
    if trial.reason and trial.reason not in notes:
        notes.append(trial.reason)
    if common.training and trial.training:
        optimizer, *length = common.training
        steps, seeds = trial.training.steps, len(trial.training.edited.end)
        if trial.training.optimizer != optimizer:
            notes.append(f"trained with {trial.training.optimizer}")
        if [steps, seeds] != length:
            notes.append(f"loss after {steps} steps ({plural(seeds, 'seed')})")
    return notes


def _add_notes(page: Page, notes: Sequence[str], hang: int) -> None:
    if notes:
        page.add(said(" · ".join(notes), "dim"), label=Text(" " * hang), hang=hang)
