"""Findings → prescriptions, chosen from the catalogue by evidence; no torch here."""

from gradcheck_cli.remedies.prescribing import prescribe

__all__ = ["prescribe"]
