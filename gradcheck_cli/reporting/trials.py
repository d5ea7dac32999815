"""What was tried on a copy for one finding: the measured effects, best first, what was not tried, and how to apply the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from gradcheck_cli.records import Finding, Prescription, Report, Trial
from gradcheck_cli.reporting.page import Page, said
from gradcheck_cli.reporting.suggestions import add_advice
from gradcheck_cli.reporting.trial_table import HEAD, add_table, usual

_UNTRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Tried:
    """What the report says of remedies for one finding; a trial may be of a remedy that was meant for another one."""

    report: Report
    finding: Finding

    @property
    def trials(self) -> list[Trial]:
        return self.report.trials_for(self.finding)

    @property
    def made(self) -> list[Trial]:
        """The trials that could be carried out."""
        return [t for t in self.trials if t.outcome != "not applied"]

    @property
    def prescriptions(self) -> list[Prescription]:
        return self.report.prescriptions_for(self.finding)

    @property
    def untried(self) -> list[Prescription]:
        """The prescriptions that are in no trial."""
        used = {remedy for t in self.trials for remedy in t.remedies}
        return [p for p in self.prescriptions if p.remedy not in used]

    @property
    def best(self) -> Trial | None:
        """The first cure, else the first improvement."""
        return next((t for wanted in ("cured", "improved") for t in self.trials if t.outcome == wanted), None)

    def parts(self, trial: Trial) -> list[Prescription]:
        """Return what a trial consists of; this finding's own prescriptions before those for others."""
        known = {p.remedy: p for p in (*reversed(self.report.prescriptions), *self.prescriptions)}
        return [known[remedy] for remedy in trial.remedies if remedy in known]


def add_trials(page: Page, tried: Tried) -> None:
    """Write what was tried and what came of it, then the rest with its reasons, then how to apply what helps most."""
    hang = 4 + max(len(word) for word in (_UNTRIED, *(t.outcome for t in tried.trials)))
    if tried.made:
        add_table(page, tried.made, hang)
    else:
        page.add(Text(HEAD, style="dim"), label=Text("  "), hang=2)
    for trial in tried.trials:
        if trial.outcome == "not applied":
            _add_line(page, trial.outcome, f"{trial.title}: {trial.reason or 'it could not be applied'}", hang)
    for titles, reason in _grouped(tried.untried):
        _add_line(page, _UNTRIED, f"{titles}{': ' + reason if reason else ''}", hang)
    if conditions := _conditions(tried):
        page.add(said(" · ".join(conditions), "dim"), label=Text("  "), hang=2)
    _add_how(page, tried)


def _add_line(page: Page, word: str, text: str, hang: int) -> None:
    page.add(said(text), label=Text.assemble("  ", (word, "dim")), hang=hang)


def _grouped(prescriptions: Sequence[Prescription]) -> list[tuple[str, str]]:
    """Join the titles that have the same reason, in order."""
    titles: dict[str, list[str]] = {}
    for each in prescriptions:
        titles.setdefault(each.reason, []).append(each.title)
    return [(" · ".join(several), reason) for reason, several in titles.items()]


def _conditions(tried: Tried) -> list[str]:
    """Say what the numbers are to be read with: the limit, and how the copies were trained."""
    common, found = usual(tried.made), tried.report.profiles[0].optimizer
    conditions = [f"limit {common.limit}"] if common.limit else []
    if common.training:
        origin = f" ({found.origin})" if found and found.origin else ""
        conditions.append(f"trained with {common.training[0]}{origin}")
    return conditions


def _add_how(page: Page, tried: Tried) -> None:
    """Write how to apply the best; with -v every suggestion, with what came of it."""
    best, own = tried.best, tried.prescriptions
    parts = tried.parts(best) if best else []
    if best is None and not page.look.verbose:
        page.add(Text("none of these helps; -v shows how to apply each", style="dim"), label=Text("  "), hang=2)
        return
    page.blank()
    label = "how to apply: " if best and best.outcome == "cured" else "what helps most: "
    for number, each in enumerate(parts):
        joined = "and: " if number else label
        if each in own:
            add_advice(page, each, label=joined)
        else:
            page.add(Text.assemble(joined, said(each.title, "bold"), f", as for {each.code}"), label=Text("  "), hang=2)
    if page.look.verbose:
        for each in own:
            if each not in parts:
                add_advice(page, each, label=f"{_outcome(each, tried.trials)}: ")


def _outcome(prescription: Prescription, trials: Sequence[Trial]) -> str:
    """Say what came of a remedy alone."""
    together = "in a combination" if any(prescription.remedy in t.remedies for t in trials) else _UNTRIED
    return next((t.outcome for t in trials if t.remedies == (prescription.remedy,)), together)
