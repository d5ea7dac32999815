"""What two reports of a target differ in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradcheck_cli.records.findings import Finding

# How a gradient arrives. zero: exactly. unknown: one flows, but it cannot be seen (the output is edited in place).
Arrival = Literal["measured", "zero", "non-finite", "unreached", "frozen", "uncalled", "unknown"]

# worse: further from the gradient at the loss end. better: nearer to it. changed: as far, on the other side. unknown: one
# of the two cannot be seen.
Verdict = Literal["worse", "changed", "better", "alike", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The gradient at a layer relative to the one at the loss end of the spine, so that the loss's scale drops out."""

    arrival: Arrival
    decades: float | None = None  # log10 of the ratio of L2 norms, negative below the loss end; None unless measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A level in an earlier report and in a later one."""

    old: Level
    new: Level
    change: float | None = None  # decades, new - old; None unless both are measured
    worsening: float  # |new| - |old| in decades; inf where the gradient is gone or no longer finite, -inf where it is back
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShift:
    """A layer that both reports have; `order` is its place in the later one."""

    layer: str
    old_kind: str
    kind: str
    order: int
    shift: Shift


@dataclass(frozen=True, slots=True, kw_only=True)
class SpineShift:
    """A spine to an entry that both reports have; its drop is the negative of the level's decades.

    `old_picture` and `picture`: log10 L2 of the gradient relative to the loss end, input side first.
    """

    entry: str
    shift: Shift
    old_picture: tuple[float, ...]
    picture: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveComparison:
    """The layers and spines under one loss, worst first, and the layers that only one report has."""

    name: str
    layers: tuple[LayerShift, ...]
    spines: tuple[SpineShift, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedReport:
    """One side of a comparison, in short."""

    target: str
    tool_version: str
    model_kind: str
    parameter_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What became of one target since an earlier report; `verdict` is the worst of all layers and spines."""

    old: ComparedReport
    new: ComparedReport
    verdict: Verdict
    objectives: tuple[ObjectiveComparison, ...]
    new_findings: tuple[Finding, ...] = ()
    gone_findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()  # where the two were measured under other conditions, and what could not be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncompared:
    """A target without a comparison, and why; `blocks`: there is no verdict on it, which is no pass."""

    target: str
    reason: str
    blocks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Every target of two documents."""

    comparisons: tuple[Comparison, ...]
    uncompared: tuple[Uncompared, ...] = ()
