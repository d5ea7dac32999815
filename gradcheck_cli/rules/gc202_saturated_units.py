"""Most values of a bounded activation sit in its flat part.

What it measures
For sigmoid, tanh and their kin the share of values (samples × units) whose derivative is below 5 % of the best one: |x| > 2.2
for tanh, |x| > 4.4 for sigmoid. Softmax is left out (attention is meant to choose), and so are gates of recurrent cells.

Why it matters
In the flat part the gradient is multiplied by nearly zero, whatever the loss wants, and the unit's output no longer tells
samples apart but by sign.

Limits and where they come from
`saturated-share` 0.5 (share of values): a tanh whose input is Gaussian reaches it when the input's standard deviation is
3.3, three times what Xavier initialisation aims at; at the intended 1.0 the share is 3 %.

When it is wrong
A gate may be shut by design (a bias of -4 in front of a sigmoid that multiplies a branch) and the sigmoid of a
detector's output is often started low: sigmoids beside the way from input to loss are not judged. Where at most a tenth
of the others are saturated and none of them lies on that way, nothing is raised; where at least half of those on the way
are and no skip passes them by, it is an error. The last activation before the loss belongs to the loss and is left to
GC605 and GC606.

What to do
Scale the input (GC601), initialise the layer in front with Xavier's bound, or put a normalisation in front of the activation.

References
X. Glorot, Y. Bengio (2010), section 3; Y. LeCun et al., "Efficient BackProp" (1998), sections 4.4 to 4.6.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from gradcheck_cli.records import Finding, LayerProfile, Limit, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, profile_of, units_of
from gradcheck_cli.rules.paths import forward_path, leaves, listed, main_spine
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC202",
    name="saturated-units",
    summary="Most values of a bounded activation sit in its flat part.",
    severity="warning",
    limits=(
        Limit(
            name="saturated-share",
            value=0.5,
            unit="share of values with a derivative below 5 % of the best",
            source="Gaussian input of standard deviation 3.3 into tanh",
        ),
    ),
    hides=("GC101", "GC301"),
)
CONFIRM = "repeats"
UNCONFIRMED = "silent"  # on another batch the activation is not saturated: a property of the batch
EFFECT = Quantity("saturated values", "share")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    path, bounded = {layer.name for layer in forward_path(profile)}, _bounded(profile)
    flat = [layer for layer in bounded if _share(layer) >= limits["saturated-share"]]
    if not flat or (not any(layer.name in path for layer in flat) and 10 * len(flat) <= len(bounded)):
        return
    worst = max(flat, key=_share)
    on_path = sum(layer.name in path for layer in bounded)
    spine = main_spine(profile)
    skipped = spine is not None and any(segment.bypassed for segment in spine.segments)  # a skip lets the gradient pass by
    most = not skipped and len(flat) > 1 and 2 * sum(layer.name in path for layer in flat) >= on_path > 0
    first = next((layer for layer in flat if layer.name in path), flat[0])
    rest = [layer.name for layer in flat if layer is not first]
    yield Finding(
        code="GC202",
        severity="error" if most else "warning",
        layer=first.name,
        site=first.site,
        message=f"`{first.name}`: {_share(first):.0%} of the values of this {first.kind} lie in its flat part "
        f"(limit {limits['saturated-share']:.0%})",
        details=((("further", f"{listed(rest)}; the worst has {_share(worst):.0%}"),) if rest else ()),
        facts={
            "saturated_share": _share(first),
            "activation": first.units.activation if first.units else "",
            "layers": len(flat),
            "spares": () if most else ("GC101",),  # a few flat layers among many do not explain a long decay
        },
        affected=tuple(rest),
    )


def measure(profile: Profile, finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return the share of the finding's layer, else the worst of those that are judged."""
    bounded = _bounded(profile)
    named = [x for x in bounded if x.name == finding.layer] or bounded
    return Reading(max(map(_share, named)), limits["saturated-share"]) if named else None


def _bounded(profile: Profile) -> list[LayerProfile]:
    path, belonging = {layer.name for layer in forward_path(profile)}, _belonging(profile)
    return [x for x in profile.layers if _counts(x, belonging) and (x.name in path or not _may_gate(x))]


def _share(layer: LayerProfile) -> float:
    return (layer.units.saturated_fraction or 0.0) if layer.units else 0.0


def _may_gate(layer: LayerProfile) -> bool:
    """Beside the way to the loss a sigmoid multiplies a branch, as a rule, and may start shut or open by design."""
    return layer.units is not None and layer.units.activation in ("sigmoid", "hardsigmoid")


def _belonging(profile: Profile) -> frozenset[str]:
    """Names of the gated recurrent layers, and of the last activation where it belongs to the loss."""
    gated = {time.layer for time in profile.times if time.gated}
    last = leaves(profile)[-1:] if profile.objective.output_activation is not None else ()
    return frozenset(gated.union(layer.name for layer in last))


def _counts(layer: LayerProfile, belonging: Container[str]) -> bool:
    units = layer.units
    if units is None or units.saturated_fraction is None or units.activation in ("softmax", "log_softmax", "relu6"):
        return False
    owner = layer.parent if layer.functional else layer.name
    return layer.name not in belonging and owner not in belonging


def _example(*shares: float, on_path: bool = True, kind: str = "Tanh") -> Profile:
    layers = [layer_of("net.0")]
    for i, share in enumerate(shares):
        layers += [
            layer_of(f"net.{2 * i + 1}", kind, units=units_of(kind.lower(), saturated=share)),
            layer_of(f"net.{2 * i + 2}"),
        ]
    return profile_of(*layers) if on_path else profile_of(*layers, spines=())


FIRES = (lambda: _example(0.8, 0.7, 0.75), lambda: _example(0.1, 0.95), lambda: _example(0.9, 0.9, on_path=False))
CLEAN = (
    lambda: _example(0.03, 0.02),
    lambda: _example(*[0.0] * 19, 0.9, on_path=False),
    lambda: _example(0.97, 0.97, 0.97, on_path=False, kind="Sigmoid"),  # highway gates that start shut
    lambda: profile_of(layer_of("a"), layer_of("a/softmax", "softmax", units=units_of("softmax", saturated=0.99))),
)
