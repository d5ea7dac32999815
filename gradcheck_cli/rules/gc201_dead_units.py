"""Most units of a rectifier are zero on every sample.

What it measures
For each ReLU-like activation the share of units (features or channels) that are exactly zero at every sample and position
of the batch.

Why it matters
A unit that is never on has gradient zero: it does not learn, and nothing in front of it learns through it. Where a whole
layer is dead on the only path, everything before it is cut off and the output is a constant.

Limits and where they come from
`dead-share` 0.8 (share of units): zeros in half of the values are what ReLU does, and where samples have become alike with
depth up to half of the units are off for a whole batch. Sampling noise comes on top: a share counts only
above one half plus `sigmas` 4 standard deviations, which one layer in thirty thousand reaches by tossing coins. It is an
error from `error-share` 0.95 on, and wherever all units of a layer on the way to the loss are dead.

When it is wrong
On a batch of one or two samples, or on a layer that only sees rare inputs (an expert). The finding is raised on other
batches and seeds as well, and on a copy trained for some steps, before it is believed.

What to do
Check the bias of the layer in front (a strongly negative one kills it), lower the learning rate if this is a trained model,
re-initialise (He), or use LeakyReLU, ELU or GELU, whose gradient is not zero on the negative side.

References
X. Glorot, A. Bordes, Y. Bengio (2011), section 3; A. Maas et al. (2013); L. Lu et al., "Dying ReLU and Initialization" (2019).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, LayerProfile, Limit, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, profile_of, units_of
from gradcheck_cli.rules.paths import forward_path, listed
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC201",
    name="dead-units",
    summary="Most units of a rectifier are zero on every sample.",
    severity="error",
    limits=(
        Limit(name="dead-share", value=0.8, unit="share of units", source="0.5 is healthy; chosen on sample models"),
        Limit(name="sigmas", value=4.0, unit="standard deviations", source="binomial, p = 1/2: 1 layer in 30,000"),
        Limit(name="error-share", value=0.95, unit="share of units", source="chosen by us: a twentieth of the layer is left"),
    ),
    hides=("GC405", "GC203", "GC105", "GC205"),
)
CONFIRM = "training"
UNCONFIRMED = "silent"  # units that wake up were a matter of this batch; half a layer asleep is no news
EFFECT = Quantity("dead units", "share")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    on_path = {layer.name for layer in forward_path(profile)}
    dead = [layer for layer in profile.layers if _is_dead(layer, layer.name in on_path, limits)]
    if not dead:
        return
    first, rest = dead[0], dead[1:]
    share = first.units.dead_fraction if first.units else 0.0
    walls = [layer for layer in dead if layer.units and layer.units.dead_fraction == 1.0 and layer.name in on_path]
    behind = "; nothing in front of it can learn" if walls else ""
    yield Finding(
        code="GC201",
        severity="error" if share > limits["error-share"] or walls else "warning",
        layer=first.name,
        site=first.site,
        message=f"`{first.name}`: {share:.0%} of the units of this {first.kind} are zero on the whole batch "
        f"(limit {limits['dead-share']:.0%}){behind}",
        details=((("further", listed([layer.name for layer in rest])),) if rest else ()),
        facts={
            "dead_share": share,
            "activation": first.units.activation if first.units else "",
            "units": first.units.units if first.units else 0,
            "wall": bool(walls),
            "scope": "model" if walls else "layer",
        },
        affected=tuple(layer.name for layer in rest),
    )


def measure(profile: Profile, finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return the dead share of the finding's layer, else the worst on the way to the loss, against what chance cannot do."""
    on_path = {layer.name for layer in forward_path(profile)}
    judged = [x for x in profile.layers if x.units is not None]
    named = [x for x in judged if x.name == finding.layer] or [x for x in judged if x.name in on_path]
    worst = max(named, key=lambda x: x.units.dead_fraction if x.units else 0.0, default=None)
    if worst is None or worst.units is None:
        return None
    chance = _chance(worst.units.units, limits)
    limit = max(limits["dead-share"], min(chance, 1.0) if worst.name in on_path else chance)
    return Reading(worst.units.dead_fraction, limit if limit <= 1.0 else None)  # so narrow that all may be off by chance


def _chance(units: int, limits: Mapping[str, float]) -> float:
    return 0.5 + limits["sigmas"] * 0.5 / math.sqrt(units)


def _is_dead(layer: LayerProfile, on_path: bool, limits: Mapping[str, float]) -> bool:
    """A narrow side branch that is off altogether can be chance, and a gate that is shut does no harm: only the path counts."""
    if layer.units is None:
        return False
    share = layer.units.dead_fraction
    chance = _chance(layer.units.units, limits)
    return share >= limits["dead-share"] and (share > chance or (share == 1.0 and on_path))


def _example(dead: float, units: int = 32, *, on_path: bool = True) -> Profile:
    relu = layer_of("net.1", "ReLU", units=units_of("relu", dead=dead, units=units))
    layers = (layer_of("net.0"), relu, layer_of("net.2"))
    return profile_of(*layers) if on_path else profile_of(*layers, spines=())


FIRES = (
    lambda: _example(0.94),
    lambda: _example(1.0, 4),
    lambda: _example(1.0, 1),  # one unit that is off stops the whole gradient
    lambda: _example(1.0, 64, on_path=False),
)
CLEAN = (
    lambda: _example(0.5),
    lambda: _example(0.0),
    lambda: _example(0.875, 8),  # seven of eight by chance
    lambda: _example(1.0, 4, on_path=False),  # a narrow gate that is shut
)
