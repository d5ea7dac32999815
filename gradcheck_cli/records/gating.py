"""What decides whether a finding counts: comments, settings, the baseline, and how near a limit is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradcheck_cli.records.findings import Finding, Severity
from gradcheck_cli.records.layers import SourceSite


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreComment:
    """A comment `# gradcheck: ignore[GC101] reason` in a file of the model."""

    file: str  # as in SourceSite
    line: int
    covers: tuple[int, ...]  # the lines whose layers it is for: its own, and where what ends on it begins
    selectors: tuple[str, ...]  # codes, beginnings of codes or names, as written; empty where it names none
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """A finding that does not count, and what says so."""

    finding: Finding
    by: Literal["comment", "setting", "baseline"]
    selector: str = ""  # the rule that the comment or the setting names, as written there
    pattern: str = ""  # of layer names, where it is a setting
    reason: str = ""
    site: SourceSite | None = None  # of the comment or the setting


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineEntry:
    """A known finding: what it is known by, and how grave it was when the baseline was written."""

    fingerprint: str
    target: str  # as in fingerprints: relative to the project's root where it is a file
    code: str
    name: str
    layer: str
    parameter: str | None = None
    entry: str = ""  # where the path ends that the finding is about; empty where it is about a layer
    severity: Severity
    label: str = ""  # what was measured: "drop"; empty where the rule has no number for it
    unit: str = ""
    value: float | None = None
    reason: str = ""  # why it is accepted; for people, kept when the file is written anew


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineCheck:
    """What a baseline said of one scan."""

    file: str
    known: int  # findings that it holds and that are no worse
    worse: int  # findings that it holds and that count again
    stale: tuple[BaselineEntry, ...] = ()  # entries that were not found again
    remarks: tuple[str, ...] = ()  # where the scan was made under other conditions than the baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseCall:
    """A verdict that another limit, not far from the one that holds, would turn: whether the scan fails."""

    code: str  # of the rule whose limit it is
    name: str
    layer: str  # of the finding that fails the scan, or would
    limit: str  # its name
    value: float  # of the limit
    turns_at: float  # the limit from which on the verdict would be the other one
    unit: str
    verdict: Literal["fails", "passes"]  # of the scan as it is
    other: str = ""  # code of that finding where it is another rule's, which this limit lets explain it or not
    of_the_copy: bool = False  # the limit as a trained copy of the model is held against it
    looked_again: bool = True  # False: what would fail the scan was no suspect, so that no second look has had a say
