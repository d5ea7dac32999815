"""Findings → prescriptions, chosen from the catalogue by evidence; no torch here."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck_cli.records import Finding, Prescription, Profile


def prescribe(profiles: Sequence[Profile], findings: Sequence[Finding]) -> tuple[Prescription, ...]:
    """Return the remedies for each finding, least invasive first."""
    return ()
