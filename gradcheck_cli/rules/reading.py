"""The measured number behind a finding, on any profile: what a trial compares before and after an edit."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Quantity(NamedTuple):
    """What a rule measures: its name and unit, on which side of the limit it is ill, and whether ratios of it count."""

    label: str
    unit: str  # "decades", "share", "" for counts and plain ratios
    worse: Literal["above", "below", "either"] = "above"
    log: bool = False


class Reading(NamedTuple):
    """The number on one profile, and the limit that holds for it there; None where the rule does not judge it."""

    value: float
    limit: float | None
