"""Two linear layers in a row with nothing non-linear between them.

What it measures
Linear or convolution layers on the only way to the loss that follow each other with nothing but views and dropout between.

Why it matters
Together they can represent no more than one such layer: usually an activation was forgotten. The second layer's
parameters and time are spent on nothing, and the product of two matrices is harder to train.

Limits and where they come from
None: it is read off the graph. A middle that is narrower than both sides is a factorisation (a bottleneck, a low-rank
adapter) and passes. A pair that only narrows on its way out (projection, then classifier) and convolutions, whose
fields of view add up, are a note. The rest is a warning, as is a chain of three and more linear layers.

When it is wrong
Deep linear networks for study, and over-parametrised layers that are merged after training.

What to do
Put the activation of the other layers between the two, or merge them into one.

References
A. Saxe, J. McClelland, S. Ganguli (2014), deep linear networks; X. Ding et al. (2021), over-parametrised convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gradcheck_cli.records import Finding, LinearPair, Profile, Rule, Severity
from gradcheck_cli.rules.examples import layer_of, profile_of
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC406",
    name="linear-after-linear",
    summary="Two linear layers in a row with nothing non-linear between them.",
    severity="warning",
)
CONFIRM = "none"  # read off the graph
EFFECT = Quantity("linear layers right behind another", "")


def check(profile: Profile, _limits: Mapping[str, float]) -> Iterator[Finding]:
    layers = {layer.name: layer for layer in profile.layers}
    for chain in _chains(_wide(profile)):
        first = layers.get(chain[0].first)
        names = [chain[0].first, *(pair.second for pair in chain)]
        widths = [chain[0].widths[0], *(pair.widths[1] for pair in chain), chain[-1].widths[2]]
        flat = first is not None and first.kind == "Linear"
        grows = any(pair.widths[1] >= pair.widths[0] for pair in chain)
        severity: Severity = "warning" if flat and (grows or len(chain) > 1) else "note"
        yield Finding(
            code="GC406",
            severity=severity,
            layer=names[1],
            site=first.site if first else None,
            message=" → ".join(f"`{name}`" for name in names)
            + f": {len(names)} linear layers ({' → '.join(map(str, widths))}) with no activation between do no more than one",
            facts={"layers": len(names), "first": names[0], "second": names[1], "convolution": not flat},
            affected=(names[0], *names[2:]),
        )


def measure(profile: Profile, finding: Finding, _limits: Mapping[str, float]) -> Reading | None:
    """Count the pairs among the finding's layers, or in the whole model if these are gone."""
    named = {finding.layer, *finding.affected}
    here = [p for p in _wide(profile) if {p.first, p.second} <= named]
    there = any(layer.name in named for layer in profile.layers)
    return Reading(float(len(here if there else _wide(profile))), 0.0)


def _wide(profile: Profile) -> list[LinearPair]:
    return [pair for pair in profile.linear_pairs if pair.widths[1] >= min(pair.widths[0], pair.widths[2])]


def _chains(pairs: Sequence[LinearPair]) -> list[list[LinearPair]]:
    """Join pairs that share a layer, in the order of the signal."""
    following = {pair.first: pair for pair in pairs}
    seconds = {pair.second for pair in pairs}
    chains = []
    for pair in pairs:
        if pair.first not in seconds:  # so no chain is a circle
            chain = [pair]
            while (further := following.get(chain[-1].second)) is not None:
                chain.append(further)
            chains.append(chain)
    return chains


def _example(*widths: int, kind: str = "Linear") -> Profile:
    names = [f"net.{i}" for i in range(len(widths) - 1)]
    pairs = tuple(
        LinearPair(first=names[i], second=names[i + 1], widths=(widths[i], widths[i + 1], widths[i + 2]))
        for i in range(len(names) - 1)
    )
    return profile_of(*(layer_of(name, kind) for name in names), linear_pairs=pairs)


FIRES = (lambda: _example(24, 64, 64), lambda: _example(64, 64, 32, 32), lambda: _example(64, 256, 3, kind="Conv2d"))
CLEAN = (lambda: _example(96, 24, 144), lambda: _example(768, 8, 768), lambda: _example(32, 64))
