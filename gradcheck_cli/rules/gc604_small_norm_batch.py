"""A normalisation over one or two values.

What it measures
How many values a BatchNorm in training mode normalises for each channel: batch size times positions.

Why it matters
Two values become plus and minus one, whatever they were: the data are lost but for their order, and the gradient through
the layer is nearly zero. What a scan measures behind such a layer says little of the model.

Limits and where they come from
`values` 2 (values for each channel): with two, the output is ±1 up to `eps`; with one, PyTorch refuses.

When it is wrong
When the real training uses larger batches: then scan with one (`--data`, or a larger example batch).

What to do
Use a batch of 16 or more, or a normalisation that does not look at the batch (GroupNorm, LayerNorm).

References
S. Ioffe, C. Szegedy (2015); Y. Wu, K. He, "Group Normalization" (2018), figure 1: error against batch size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, LayerProfile, Limit, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, profile_of
from gradcheck_cli.rules.paths import listed
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC604",
    name="tiny-norm-batch",
    summary="A normalisation over one or two values.",
    severity="warning",
    limits=(Limit(name="values", value=2, unit="values for each channel", source="two values become ±1, whatever they were"),),
    hides=("GC101", "GC102", "GC105", "GC201", "GC203", "GC405"),
)
CONFIRM = "none"  # the batch size and the shapes decide
EFFECT = Quantity("values for each channel", "", worse="below")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    tiny = [(x, n) for x in profile.layers if (n := _values(x)) is not None and n <= limits["values"]]
    if not tiny:
        return
    first, values = tiny[0]
    rest = [x.name for x, _ in tiny[1:]]
    yield Finding(
        code="GC604",
        severity="warning",
        layer=first.name,
        site=first.site,
        message=f"`{first.name}`: this {first.kind} normalises over {values:g} values for each channel (batch of "
        f"{profile.batch_size}): they become ±1, whatever they were",
        details=((("further", listed(rest)),) if rest else ()),
        facts={"values": values, "layers": len(tiny), "batch_size": profile.batch_size},
        affected=tuple(rest),
    )


def measure(profile: Profile, finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return what the finding's layer normalises over, else the smallest of all."""
    counted = {x.name: n for x in profile.layers if (n := _values(x)) is not None}
    fewest = min(counted.values(), default=None)
    return None if fewest is None else Reading(counted.get(finding.layer, fewest), limits["values"])


def _values(layer: LayerProfile) -> float | None:
    """Values for each channel, None for what does not normalise over the batch now."""
    if "BatchNorm" not in layer.kind or layer.mode != "train" or not layer.calls:
        return None
    counted = layer.facts.get("values_per_channel")
    return float(counted) if counted is not None else None


def _example(values: float, mode: str = "train", kind: str = "BatchNorm1d") -> Profile:
    return profile_of(layer_of("bn", kind, facts={"values_per_channel": values}, mode=mode))


FIRES = (lambda: _example(2), lambda: _example(1, kind="BatchNorm2d"))
CLEAN = (
    lambda: _example(16),
    lambda: _example(2, "eval"),
    lambda: _example(2, kind="GroupNorm"),
    lambda: profile_of(layer_of("a")),
)
