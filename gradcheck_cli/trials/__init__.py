"""Prescriptions → trials: every remedy is tried on a copy of the model, measured again, and trained for a few steps."""
