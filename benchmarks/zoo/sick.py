"""Sick networks."""
CASES = ()
