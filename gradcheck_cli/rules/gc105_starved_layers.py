"""Layers beside the main path get no gradient worth the name, though one flows past them.

What it measures
The L2 norm of the gradient at each layer's output against what comes out of the loss: the largest one at the first
three points of the way from the loss to the input. Counted are layers with weights that a gradient can reach, whose
weights are no zero-initialised part, and that no steady decay along the spine explains.

Why it matters
These layers are paid for in memory and time, and do not learn: a branch behind a saturated softmax, a block that a
factor switches off, a path that a dead activation blocks.

Limits and where they come from
`ratio` 1e-9 of the gradient near the loss, or exactly zero, still after the training probe's Adam steps. Healthy
networks at initialisation go down to 3e-4 on the query and key side of attention and to 1e-6 behind a layer scale,
and both rise as soon as training starts; the limit leaves three decades. A gradient that grows further on (an
explosion, or a padding row of zeros through a LayerNorm with epsilon 1e-12) starves nobody. Source:
benchmarks/verdicts.py. `share` of the model's trainable weights that must be starved before this is more than a
note: 5 %, for parts that a batch happens not to need (an expert that no token is sent to).

When it is wrong
Experts, heads and embedding rows that this batch does not use; give a larger batch.

What to do
Look at what stands between the layer and the loss; shrink the logits before a softmax, start a gate at a small
non-zero value.

References
J. Dehghani et al. (2023), "Scaling vision transformers to 22 billion parameters" (attention logits that saturate).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from gradcheck_cli.records import Finding, LayerProfile, Limit, ParameterProfile, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, parameter_of, profile_of
from gradcheck_cli.rules.paths import listed
from gradcheck_cli.rules.reading import Quantity, Reading
from gradcheck_cli.rules.trend import learning_share

RULE = Rule(
    code="GC105",
    name="starved-layers",
    summary="Layers get no gradient worth the name, though one flows past them.",
    severity="warning",
    limits=(
        Limit(name="ratio", value=1e-9, unit="of the gradient near the loss", source="benchmarks/verdicts.py"),
        Limit(
            name="share",
            value=0.05,
            unit="of the trainable weights",
            source="chosen by us, measured on mixtures of experts",
        ),
    ),
)
CONFIRM = "training"
EFFECT = Quantity("weights that do not learn", "share")
_NEAR = 3  # points: the loss, the head, and what stands before it


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    starved = _starved(profile, limits)
    if not starved:
        return
    names = tuple(x.name for x in starved)
    held, _, _ = learning_share(profile, names)
    zero = all(x.gradient is not None and x.gradient.l2 == 0.0 for x in starved)
    size = "exactly zero" if zero else f"below {limits['ratio']:.0e} of what comes out of the loss"
    yield Finding(
        code="GC105",
        severity="warning" if held >= limits["share"] else "note",
        layer=names[0],
        site=starved[0].site,
        message=f"the gradient at {listed(names)} is {size}: {held:.0%} of the trainable weights do not learn",
        facts={"layers": len(names), "weight_share": held, "exactly_zero": zero},
        affected=names[1:],
    )


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    held, _, _ = learning_share(profile, [x.name for x in _starved(profile, limits)])
    return Reading(held, limits["share"])


def _starved(profile: Profile, limits: Mapping[str, float]) -> list[LayerProfile]:
    top = max((p.l2 for s in profile.spines for p in s.points[:_NEAR]), default=0.0)
    learning = {p.layer for p in profile.parameters if _could_learn(p)}
    return [x for x in profile.layers if _starves(x, learning, limits["ratio"] * top)] if top > 0.0 else []


def _starves(layer: LayerProfile, learning: Container[str], floor: float) -> bool:
    if not layer.leaf or layer.role not in ("linear", "recurrent", "attention", "embedding") or layer.gradient is None:
        return False
    return layer.gradient.l2 <= floor and layer.name in learning


def _could_learn(parameter: ParameterProfile) -> bool:
    """A weight whose values make no difference to the loss is idle, not starved: attention over one token, a shut gate."""
    counts = parameter.state != "frozen" and parameter.role != "bias" and parameter.value.rms > 0.0
    return counts and parameter.moves_loss is not False


def _example(gradient: float, size: int = 32, stem: float = 0.01) -> Profile:
    path = [layer_of("stem", gradient=stem), *(layer_of(name) for name in ("one", "two", "head"))]
    layers = [*path[:3], layer_of("branch", gradient=gradient), path[3]]
    parameters = [
        parameter_of(
            f"{x.name}.weight",
            shape=(size if x.name == "branch" else 32, 32),
            gradient=x.gradient.rms if x.gradient else 0,
        )
        for x in layers
    ]
    return profile_of(*layers, parameters=tuple(parameters), spines=profile_of(*path).spines)


FIRES = (lambda: _example(0.0), lambda: _example(1e-13))
CLEAN = (
    lambda: _example(1e-8),
    lambda: _example(0.01),
    lambda: _example(1e-6, stem=1e5),  # the gradient grows behind the branch
)
