"""What follows from a profile: findings, what is suggested, and what it did on a copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gradcheck_cli.records.layers import SourceSite

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


def at_least(severity: Severity, bar: Severity) -> bool:
    """Whether a severity is as grave as the bar, or graver."""
    return SEVERITIES.index(severity) <= SEVERITIES.index(bar)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A number a rule compares with: its unit, and where it comes from."""

    name: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a rule file declares beside its `check`; the docstring of the file is its page."""

    code: str
    name: str
    summary: str
    severity: Severity
    limits: tuple[Limit, ...] = ()
    hides: tuple[str, ...] = ()  # codes whose findings on the same cause are victims of this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One root cause. `details` are labelled lines for people, `facts` the numbers behind the message."""

    code: str
    name: str = ""
    severity: Severity
    layer: str  # the layer the finding points to, "" for the whole model
    parameter: str | None = None
    site: SourceSite | None = None
    message: str
    details: tuple[tuple[str, str], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    affected: tuple[str, ...] = ()  # further layers that this cause harms, or that share it
    picture: tuple[float, ...] = ()  # log10 L2 of the gradient, input side first, for GC10x
    confirmed: str = ""  # what a second look showed, in words
    objective: str = ""
    fingerprint: str = ""  # the same in every scan of the target, whatever the numbers and lines; what a baseline knows it by

    @property
    def grave(self) -> bool:
        """Whether it is an error or a warning; a note is advice, or what a second look has excused."""
        return self.severity != "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change that a trial makes on a copy; `kind` is the file under `trials/edits` that makes it.

    `layers` are names as in LayerProfile (functional operations too), or parameter names where the kind edits parameters;
    empty where the kind works on the whole model, the data, the loss or the training loop.
    """

    kind: str
    layers: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)  # plain strings, numbers and booleans


@dataclass(frozen=True, slots=True, kw_only=True)
class Prescription:
    """A remedy from the catalogue for one finding.

    `status` is "tried" when a trial of the report has measured it alone, else "not tried", with the reason. Without
    `edits` the remedy is advice that no trial can carry out.
    """

    remedy: str
    title: str
    code: str  # of the finding
    layer: str  # of the finding
    action: str
    why: str
    cost: str
    applicability: Literal["safe", "unsafe", "display"]
    snippet: str
    sources: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()
    status: Literal["tried", "not tried"] = "not tried"
    reason: str = ""


# cured: within the rule's limits, nothing new raised, and the training probe does not speak against it
Outcome = Literal["cured", "improved", "no effect", "worse", "not applied"]
OUTCOMES: tuple[Outcome, ...] = ("cured", "improved", "no effect", "worse", "not applied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The measured number behind a finding, before and after an edit, in the finding's own terms."""

    label: str  # "drop", "dead units"
    unit: str  # "decades", "share", "" for a plain ratio
    before: float
    after: float | None  # None: it cannot be measured any more (the layer is gone, nothing is non-finite)
    limit: float | None  # the rule's own, None where it has none in this unit


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRuns:
    """Loss at the end of a few training steps from each seed, and at their start; inf or nan where it diverged."""

    start: tuple[float, ...]
    end: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProbe:
    """Original and edited copies trained on the same batches in the same order with the same seeds."""

    steps: int
    optimizer: str  # of the edited copies, in words: "Adam, lr 0.001, clipped at norm 1.2"
    original: TrainingRuns
    edited: TrainingRuns
    comparable: bool  # False when the edit changes the loss's scale, so that only relative falls compare
    verdict: Literal["better", "alike", "worse", "diverged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one remedy, or a combination of them, did to one finding when it was tried on a copy."""

    remedies: tuple[str, ...]  # ids in the catalogue, in the order they were applied
    title: str
    code: str  # of the finding
    layer: str  # of the finding
    objective: str = ""  # of the finding
    edits: tuple[Edit, ...]
    outcome: Outcome
    effect: Effect | None = None
    new_findings: tuple[str, ...] = ()  # "GC204 forward-growth": raised on the edited copy, not before
    also_cures: tuple[str, ...] = ()  # other findings of the report that are gone as well, as above
    training: TrainingProbe | None = None
    reason: str = ""  # why it could not be applied, or why it is no cure, or why training was not probed
