"""Words for the origin of a non-finite value."""

from __future__ import annotations

from gradcheck_cli.records import NonFinite


def describe(origin: NonFinite) -> str:
    """Say which operation of which layer makes it."""
    what = "NaN" if origin.kind == "nan" else "infinite"
    return f"`{origin.layer or '(root)'}`: `{origin.operation}` makes the first {what} value out of finite ones"


def lead_up(origin: NonFinite) -> tuple[tuple[str, str], ...]:
    """Return one detail line with the largest values of what ran just before."""
    if not origin.lead_up:
        return ()
    return (("before it", ", ".join(f"{name} up to {size:.2g}" for name, size in origin.lead_up)),)
